#!/usr/bin/env bash
# install.sh and a replay of ten frames on 64-bit Arm: a Debian root made by debootstrap, its programs run by qemu's
# user-mode emulation, or by the machine itself where that is one. Needs root, debootstrap, qemu-user-static, the
# network, 3 GiB, a quarter of an hour, and a Python that has korsal-edge, to compare with what this machine finds. The
# last line says whether it worked.
#
# Usage: tests/install/aarch64_install.sh FOLDER [SUITE [MIRROR]]
#   KORSAL_ARM_MACHINE=FOLDER   the fresh root is kept there, and taken from there the next time
#   KORSAL_PYTHON=PROGRAM       default: the Python of .venv/, which ./install.sh --demo makes
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
FOLDER=${1:?usage: tests/install/aarch64_install.sh FOLDER [SUITE [MIRROR]]}
SUITE=${2:-bookworm}
MIRROR=${3:-http://deb.debian.org/debian}
PYTHON=${KORSAL_PYTHON:-$ROOT/.venv/bin/python}
MACHINE=${KORSAL_ARM_MACHINE:+$(readlink -m "$KORSAL_ARM_MACHINE")}
CPU=cortex-a76 # of those that qemu knows, the nearest to a Jetson Orin's Cortex-A78AE
CHANNEL=/proc/sys/fs/binfmt_misc
HANDLER=korsal-aarch64
MAGIC='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
PASSED_ON=(PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_CERT SSL_CERT_FILE HTTPS_PROXY https_proxy)
SETTINGS=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
    DEBIAN_FRONTEND=noninteractive QEMU_CPU="$CPU")
UNDO=()

fail() { # what is missing, the remedy
    printf '== %s\n   Fix: %s\n' "$1" "$2" >&2
    exit 1
}

step() { # what comes now; and how long the last one took
    ((!${BEGUN:-0})) || echo "   ($((SECONDS - BEGUN)) s)"
    BEGUN=$SECONDS
    ((!$#)) || echo "== $*"
}

end() {
    local index
    for ((index = ${#UNDO[@]} - 1; index >= 0; index--)); do
        eval "${UNDO[index]}" || true
    done
}

require() { # program, package
    command -v "$1" > /dev/null || fail "$1 is not here" "sudo apt-get install $2"
}

inside() { # a command in the root; what is mounted for it goes with it. No /sys: with it ONNX Runtime crashes in qemu
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child bash -ec '
        mount -t proc proc root/proc
        mount -t tmpfs tmpfs root/dev/shm
        if [[ -d root/src ]]; then
            for folder in /etc/ssl/certs:etc/ssl/certs "$0":src; do
                mount --bind "${folder%:*}" "root/${folder#*:}"
                mount -o remount,ro,bind "root/${folder#*:}"
            done
        fi
        exec chroot root "$@"' "$ROOT" env -i "${SETTINGS[@]}" "$@" < /dev/null
}

emulate() { # let the kernel hand programs of 64-bit Arm to qemu, until this script ends
    [[ $(uname -m) != aarch64 ]] || return 0
    require qemu-aarch64-static qemu-user-static
    if [[ ! -e $CHANNEL/register ]]; then
        mount -t binfmt_misc binfmt_misc $CHANNEL ||
            fail "this kernel has no binfmt_misc" "modprobe binfmt_misc, or a kernel with CONFIG_BINFMT_MISC"
        UNDO+=("umount $CHANNEL")
    fi
    if grep -qsx enabled $CHANNEL/qemu-aarch64; then
        echo "   binfmt_misc: qemu-aarch64 is there already"
        return 0
    fi
    [[ ! -e $CHANNEL/$HANDLER ]] || echo -1 > $CHANNEL/$HANDLER
    # F: the kernel opens qemu now, here, and needs none in the root. P: programs see the name they were called by.
    echo ":$HANDLER:M::$MAGIC:$MASK:$(command -v qemu-aarch64-static):PF" > $CHANNEL/register
    UNDO+=("echo -1 > $CHANNEL/$HANDLER")
    echo "   binfmt_misc: $(qemu-aarch64-static --version | head -n 1), $CPU"
}

make_root() { # the folder `root`
    rm -rf --one-file-system root
    if [[ -d $MACHINE ]]; then
        echo "   a copy of $MACHINE"
        cp -a --reflink=auto "$MACHINE" root
        return 0
    fi
    debootstrap --arch=arm64 --foreign --variant=minbase --include=ca-certificates,python3,systemd,udev \
        "$SUITE" root "$MIRROR" > debootstrap.log ||
        fail "debootstrap could not fetch $SUITE from $MIRROR" "tail $FOLDER/debootstrap.log"
    [[ ! -L root/proc ]] || rm root/proc # in a container debootstrap makes a link of it
    mkdir -p root/proc root/dev/shm root/etc/dpkg/dpkg.cfg.d
    echo force-unsafe-io > root/etc/dpkg/dpkg.cfg.d/unsafe # not waiting for the disk: the root is for this proof alone
    inside /debootstrap/debootstrap --second-stage > second.log 2>&1 ||
        fail "$SUITE's packages could not be set up" "tail $FOLDER/second.log root/debootstrap/debootstrap.log"
    echo "deb $MIRROR $SUITE main" > root/etc/apt/sources.list
    echo '127.0.0.1 localhost' > root/etc/hosts
    if [[ -n $MACHINE ]]; then
        cp -a --reflink=auto root "$MACHINE.half"
        mv "$MACHINE.half" "$MACHINE"
    fi
}

connect() { # our checkout, name servers, certificates and settings of pip
    local name
    mkdir -p root/src
    cp /etc/resolv.conf root/etc/resolv.conf
    for name in "${PASSED_ON[@]}"; do
        [[ -z ${!name:-} ]] || SETTINGS+=("$name=${!name}")
    done
    [[ -n ${PIP_CERT:-} ]] || SETTINGS+=(PIP_CERT=/etc/ssl/certs/ca-certificates.crt)
}

[[ $(id -u) == 0 ]] || fail "only root can make a root" "sudo $0 $FOLDER"
require debootstrap debootstrap
require unshare util-linux
(cd "$ROOT" && "$PYTHON" -m edge --version) > /dev/null 2>&1 ||
    fail "$PYTHON has no korsal-edge, to compare with" "./install.sh --demo, or name a Python in KORSAL_PYTHON"
mkdir -p "$FOLDER"
FOLDER=$(readlink -f "$FOLDER")
cd "$FOLDER"
trap end EXIT

step "$SUITE for 64-bit Arm"
emulate
make_root
connect
# shellcheck disable=SC2016
inside sh -c '. /etc/os-release && echo "   $PRETTY_NAME, $(uname -m), $(python3 -V), $(systemctl --version | head -n 1)"'

step "install.sh"
inside /src/install.sh 2>&1 | tee install.log

step "install.sh once more"
inside /src/install.sh > again.log 2>&1 || fail "it fails the second time" "cat $FOLDER/again.log"
grep 'Release:' again.log
grep -q 'Release: .*(there already)' again.log || fail "it rebuilt what was there" "cat $FOLDER/again.log"

step "What lies there"
inside sh -ec '
    korsal-edge --version
    systemctl is-enabled korsal-edge
    id korsal-edge
    stat -c "%U:%G %a %n" /etc/korsal-edge/config.toml /var/lib/korsal-edge
    cd /opt/korsal-edge/current
    find -L lib -path "*/numpy/*" -name "_multiarray_umath*.so"
    bin/python -m pip list --disable-pip-version-check | grep -E "^(numpy|onnxruntime|opencv|pydantic).* "
' | tee there.log

step "Ten frames, there and here"
mkdir -p root/proof
cat > root/proof/config.toml << 'TEXT'
[cameras.door]
source = "clip.avi"
[actions.default]
start_score = 0.05
keep_score = 0.05
min_duration = 0.0
update_interval = 0.001
TEXT
cat > root/proof/cut.py << 'TEXT'
import cv2
source = cv2.VideoCapture("/src/demo/basketball.mp4", cv2.CAP_FFMPEG)
pictures = [source.read()[1] for _ in range(10)]
height, width = pictures[0].shape[:2]
lossless = cv2.VideoWriter.fourcc(*"FFV1")
clip = cv2.VideoWriter("/proof/clip.avi", cv2.CAP_FFMPEG, lossless, source.get(cv2.CAP_PROP_FPS), (width, height))
for picture in pictures:
    clip.write(picture)
clip.release()
TEXT
cat > compare.py << 'TEXT'
"""Two files of events: the same ones, with scores and boxes that differ by rounding alone."""
import json
import sys

there, here = ([json.loads(line) for line in open(path)] for path in sys.argv[1:])
same = ("type", "event_id", "seq", "action", "frame_index", "t_capture", "observed", "model")
assert len(there) == len(here) >= 10, f"{len(there)} lines there, {len(here)} here"
for one, other in zip(there, here):
    assert all(one[key] == other[key] for key in same), f"there: {one}\nhere:  {other}"
scores = max(abs(one["score"] - other["score"]) for one, other in zip(there, here))
sides = max(abs(a - b) for one, other in zip(there, here) for a, b in zip(one["box_px"], other["box_px"]))
print(f"{len(there)} lines of events, the same here and there; scores differ by {scores:.4f}, boxes by {sides:.1f} pixels")
assert scores <= 0.005, "scores differ by more than 0.005"
assert sides <= 0.5, "boxes differ by more than half a pixel"
TEXT
inside /opt/korsal-edge/current/bin/python /proof/cut.py
inside sh -c 'cd /proof && korsal-edge replay clip.avi --config config.toml --events there.jsonl' 2>&1 | tee replay.log
grep -q '^10 frames; events: ' replay.log || fail "not ten frames" "cat $FOLDER/replay.log"
(cd "$ROOT" && "$PYTHON" -m edge replay "$FOLDER/root/proof/clip.avi" --config "$FOLDER/root/proof/config.toml" \
    --events "$FOLDER/here.jsonl")
"$PYTHON" compare.py root/proof/there.jsonl here.jsonl

step "Uninstalled"
inside /src/install.sh --uninstall --purge
left=$(inside find / -xdev '(' -path /proc -o -path /src -o -path /proof ')' -prune -o -name '*korsal*' -print)
[[ -z $left ]] || fail "this is left: $left" "mend uninstall() in scripts/install/service.sh"
step
echo "== It works"
