#!/usr/bin/env bash
# The unit's drop-in for this machine: the device nodes that its cameras and GPU have, and the groups that may open them.
#
# Usage: machine_dropin.sh          prints it, for install.sh
#        machine_dropin.sh FILE     rewrites FILE where anything has changed, and has systemd read its units again;
#                                   korsal-edge-machine.service runs this before every start of the service
set -euo pipefail
umask 022
GROUPS_OF_SERVICE=(video render jtop) # cameras, the GPU, jetson-stats; those that own a listed node are added

nodes() { # those that have no class of their own in /proc/devices, or more than one
    local node
    shopt -s nullglob
    for node in /dev/{nvidia,nvhost,nvmap,nvsci,tegra,host1x,capture-,v4l2-nv}* /dev/nvgpu/*/* /dev/dri/* /dev/dma_heap/*; do
        [[ ! -c $node ]] || printf '%s\n' "$node"
    done
}

device_classes() { # of the drivers that are loaded now
    awk '/^Block/ { exit } $2 ~ /^(drm|dma_heap|nvidia|nvhost|nvgpu|nvmap|tegra|host1x)/ { print $2 }' /proc/devices
}

existing_groups() { # nodes: with a group that does not exist the unit would not start
    local group
    {
        printf '%s\n' "${GROUPS_OF_SERVICE[@]}"
        ((!$#)) || stat -c %G "$@" 2> /dev/null || true # one may just have gone
    } | sort -u | while read -r group; do
        [[ $group == root ]] || ! getent group "$group" > /dev/null || printf '%s\n' "$group"
    done
}

dropin() {
    local found
    mapfile -t found < <(nodes)
    cat << 'TEXT'
# Written for this machine by install.sh and before every start. For settings of your own: systemctl edit korsal-edge
[Unit]
# A USB camera may be plugged in later: its device class must be known when the service starts.
Wants=modprobe@videodev.service
After=modprobe@videodev.service

[Service]
# Only these devices: cameras and the GPU. Without this file: all that the user may open.
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
TEXT
    device_classes | sed 's/.*/DeviceAllow=char-& rw/'
    ((!${#found[@]})) || printf 'DeviceAllow=%s rw\n' "${found[@]}"
    existing_groups "${found[@]}" | sed 's/^/SupplementaryGroups=/'
    if (($(systemctl --version | awk 'NR == 1 { print $2 }') >= 254)); then
        printf 'RestartSteps=6\nRestartMaxDelaySec=1min\n' # older ones would warn of both
    fi
}

rewrite() { # file; what cannot be written leaves the service with the list it has
    local text
    text=$(dropin)
    [[ ! -f $1 || $(< "$1") != "$text" ]] || return 0
    if ! { printf '%s\n' "$text" > "$1.partial" && mv -T "$1.partial" "$1"; }; then
        echo "<4>$1 cannot be written: korsal-edge starts with the devices and groups that it lists; run install.sh again"
        return 0
    fi
    echo "the devices or groups of this machine have changed: $1 is rewritten"
    systemctl daemon-reload # the service's start is queued already, and takes the new list
}

check_python() { # an upgrade to another Ubuntu brings another Python than the environment was made with
    "${0%/*}/bin/python" -I -c 'import edge' 2> /dev/null ||
        echo "<3>the environment of korsal-edge does not fit this system's Python: run install.sh again"
}

if (($#)); then
    check_python
    rewrite "$1"
else
    dropin
fi
