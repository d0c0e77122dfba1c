#!/usr/bin/env bash
# The installed service with a real V4L2 device and its list of devices in force, in an emulated PC with Debian's kernel:
# /dev/video0 is the kernel's `vivid`. Needs root, debootstrap, systemd-container, qemu-system-x86, the network, and
# minutes. The last lines say whether it worked.
#
# Usage: tests/install/qemu_camera.sh FOLDER    (an empty one, 4 GiB; KORSAL_MACHINE names a fresh root made before)
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
FOLDER=${1:?usage: tests/install/qemu_camera.sh FOLDER}
PACKAGES=systemd,systemd-sysv,dbus,udev,ca-certificates,python3,mosquitto,mosquitto-clients
mkdir -p "$FOLDER"
cd "$FOLDER"

inside() { # a command, in the root, with this machine's network
    systemd-nspawn --quiet --machine=korsal-$$ --register=no --keep-unit --pipe --directory=root --bind-ro=/etc/ssl/certs --bind-ro="$ROOT:/src" \
        --setenv=DEBIAN_FRONTEND=noninteractive --setenv=PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$@" < /dev/null
}

echo "== Debian, its kernel, and the service, installed where systemd does not run"
if [[ -d ${KORSAL_MACHINE:-} ]]; then
    cp -a --reflink=auto "$KORSAL_MACHINE" root
else
    debootstrap --variant=minbase --include=$PACKAGES bookworm root > debootstrap.log
fi
echo '127.0.0.1 localhost' > root/etc/hosts
cp /etc/resolv.conf root/etc/resolv.conf
inside apt-get -qq update
inside apt-get -qq -y install --no-install-recommends linux-image-amd64 initramfs-tools python3-venv > kernel.log 2>&1
inside /src/install.sh

cat > root/etc/korsal-edge/config.toml << 'TEXT'
[device]
name = "roof"
[model]
runtime = "onnxruntime"
[cameras.door]
source = "/dev/video0"
width = 640
height = 360
stall_seconds = 60.0
[telemetry]
interval = 5.0
TEXT
echo vivid > root/etc/modules-load.d/vivid.conf
echo 'options vivid n_devs=1 node_types=0x1' > root/etc/modprobe.d/vivid.conf
cat > root/proof.sh << 'TEXT'
heard() { # the first message on a topic with these words
    until said=$(mosquitto_sub -h localhost -W 60 -C 1 -t "$1") && echo "$said" | grep "$2"; do sleep 1; done
}
echo "camera: $(heard korsal/roof/door/state online)"
echo "device: $(cat /sys/class/video4linux/video0/name), $(stat -c 'group %G' /dev/video0)"
echo "policy: $(systemctl show --property=DevicePolicy --property=DeviceAllow korsal-edge | tr '\n' ' ')"
mknod /tmp/disk b $(stat -c '%Hr %Lr' /dev/vda)
echo "the disk, read by root: $(head -c 4096 /tmp/disk | wc -c) bytes"
echo "the same among the service's processes: $(
    sh -c 'echo $$ > /sys/fs/cgroup/system.slice/korsal-edge.service/cgroup.procs; head -c 4096 /tmp/disk' 2>&1 | tail -n 1)"
echo "telemetry: $(heard korsal/roof/telemetry '"frames":{"door":[1-9][0-9]' | grep -o '"frames":{[^}]*}')"
echo "service: $(systemctl show --property=ActiveState --property=NRestarts korsal-edge | tr '\n' ' ')"
journalctl --unit=korsal-edge --output=cat --no-pager
systemctl stop korsal-edge
korsal-edge doctor
TEXT
cat > root/etc/systemd/system/proof.service << 'TEXT'
[Unit]
After=korsal-edge.service mosquitto.service
[Service]
Type=oneshot
ExecStart=/bin/sh /proof.sh
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
TimeoutStartSec=900
[Install]
WantedBy=multi-user.target
TEXT
inside systemctl --quiet enable proof
mkdir -p root/etc/systemd/system.conf.d
printf '[Manager]\nDefaultTimeoutStartSec=10min\n' > root/etc/systemd/system.conf.d/slow.conf

echo "== The emulated PC"
cp root/boot/vmlinuz-* kernel
cp root/boot/initrd.img-* initrd
truncate -s 3G disk
mke2fs -q -F -t ext4 -d root disk
timeout 1200 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -display none -no-reboot \
    -kernel kernel -initrd initrd -append 'root=/dev/vda rw console=ttyS0' -drive file=disk,format=raw,if=virtio \
    -serial file:console.log -serial file:proof.log -nic none
cat proof.log
for line in '^camera: online' 'DevicePolicy=closed' 'read by root: 4096' 'processes: .*Operation not permitted' \
    'ActiveState=active' 'ok      camera door: 640x360' ', 0 wrong'; do
    grep -q "$line" proof.log || {
        echo "== Missing: $line"
        exit 1
    }
done
echo "== It works"
