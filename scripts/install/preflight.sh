# Checks before the service is installed. Sourced by install.sh.
# shellcheck shell=bash

check_surroundings() { # root must not run or fill what other users can change or replace
    local folder
    [[ -z $DESTDIR || $DESTDIR == /* ]] || fail "DESTDIR=$DESTDIR is relative" "give an absolute path, as DESTDIR=$PWD/$DESTDIR"
    [[ -z ${TMPDIR:-} ]] || [[ $TMPDIR == /* && -d $TMPDIR && -w $TMPDIR ]] ||
        fail "TMPDIR=$TMPDIR is not a writable folder" "create it, or unset TMPDIR"
    [[ $(id -u) == 0 ]] || return 0
    [[ ":$PATH:" != *:[!/]* ]] || fail "PATH has a relative entry, so that root would run programs from the current folder" \
        "use absolute paths only: PATH=$PATH"
    for folder in "$ROOT" ${WHEELS:+"$WHEELS"} ${TMPDIR:+"$TMPDIR"}; do
        refuse_open_parents "$folder"
    done
    refuse_open_files "$ROOT"
    [[ ! -d $WHEELS ]] || refuse_open_files "$WHEELS"
}

refuse_open_parents() { # a folder that anybody could replace; in one like /tmp (1777) nobody can
    local folder=$1
    while folder=$(dirname "$folder") && [[ $folder != / ]]; do
        [[ -z $(find "$folder" -maxdepth 0 -perm -0002 ! -perm -1000 2> /dev/null) ]] ||
            fail "every user of this machine could replace $1, by way of $folder" "copy it to a folder of root or your own"
    done
}

refuse_open_files() { # a folder whose code root runs
    local open
    open=$(find "$1" \( -path "$1/.venv" -o -path "$1/.git" \) -prune -o ! -type l -perm -0002 -print -quit)
    [[ -z $open ]] || fail "every user of this machine can change $open, which root would run" \
        "make sure that nothing in $1 was changed, then: chmod -R o-w '$1'"
}

check_rights() {
    [[ $(uname -s) == Linux ]] || fail "this is $(uname -s), korsal-edge runs on Linux" "use a Linux machine"
    ((DRY_RUN)) || [[ -n $DESTDIR || $(id -u) == 0 ]] || fail "only root can install the service" "sudo ./install.sh $*"
    [[ -n $DESTDIR ]] || command -v systemctl > /dev/null ||
        fail "there is no systemd here" "use a distribution with systemd, or run .venv/bin/korsal-edge run yourself"
    [[ -z $WHEELS || -d $WHEELS ]] || fail "$WHEELS is not a folder" "fill one with ./install.sh --wheels $WHEELS"
}

read_board() { # sets JETSON and EXTRA
    local machine major release
    machine=$(uname -m)
    [[ $machine == x86_64 || $machine == aarch64 ]] ||
        fail "there are no packages for $machine" "use a Jetson, or a 64-bit PC or Arm machine"
    if [[ ! -e $L4T ]]; then
        say "Board: $machine, no Jetson: ONNX Runtime and pip's OpenCV"
        return 0
    fi
    release=$(sed -nE '1s/^# R([0-9]+) \(release\), REVISION: ([0-9.]+).*/\1.\2/p' "$L4T")
    [[ -n $release ]] || fail "$L4T names no Jetson Linux release" "restore that file: it belongs to nvidia-l4t-core"
    major=${release%%.*}
    ((major >= 36)) || fail "Jetson Linux $release belongs to JetPack 5 or older" "flash JetPack 6 or 7"
    say "Board: Jetson, Jetson Linux $release (JetPack $((major < 38 ? 6 : 7))), $machine"
    ((major <= 39)) || warn "Jetson Linux $release is newer than the supported ones (36 to 39)"
    JETSON=1 EXTRA=jetson
}

require_system_python() { # the service cannot see one in a home; JetPack's modules are for the first
    require_python /usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 /usr/bin/python3.10 \
        /usr/local/bin/python3
    require_venv_module
}

has() { # module: whether the system's Python can import it
    "$PYTHON" -I -c "import $1" > /dev/null 2>&1
}

check_jetpack() { # TensorRT and OpenCV come from JetPack, never from pip
    has tensorrt || apt_install python3-libnvinfer || true
    if has tensorrt; then
        say "TensorRT: $("$PYTHON" -I -c 'import tensorrt; print(tensorrt.__version__)')"
    else
        warn "no TensorRT for $PYTHON: ONNX Runtime will run the model, slowly. Fix: sudo apt-get install" \
            "python3-libnvinfer (of JetPack), then run this again"
    fi
    has cv2 || apt_install libopencv-python || apt_install python3-opencv || true
    ((DRY_RUN)) || has cv2 || fail "no OpenCV for $PYTHON" "sudo apt-get install libopencv-python (of JetPack), or python3-opencv"
    ! has cv2 || report_opencv "$PYTHON"
}

report_opencv() { # a Python that can import it
    local built version gstreamer cuda
    built=$("$1" -I -c 'import cv2; print(cv2.__version__, int(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER)),
        int(hasattr(cv2, "cuda") and cv2.cuda.getCudaEnabledDeviceCount() > 0))')
    read -r version gstreamer cuda <<< "$built"
    say "OpenCV: $version, GStreamer: $( ((gstreamer)) && echo yes || echo no), CUDA: $( ((cuda)) && echo yes || echo no)"
    ((gstreamer || !JETSON)) || warn "this OpenCV has no GStreamer: CSI cameras will not open. Fix: install JetPack's" \
        "(sudo apt-get install --reinstall libopencv-python)"
}

check_disk() { # of the nearest existing folder
    local folder=$DESTDIR$APP free
    while [[ ! -d $folder ]]; do
        folder=$(dirname "$folder")
    done
    free=$(($(df -Pk "$folder" | awk 'NR == 2 { print $4 }') / 1024))
    say "Disk: $free MiB free in $folder"
    ((free >= NEEDED_MIB)) || fail "$folder has $free MiB free, $NEEDED_MIB are needed" "free disk space there"
}

preflight() {
    check_rights "$@"
    read_board
    require_system_python
    ((!JETSON)) || check_jetpack
    check_disk
    [[ -z $WHEELS ]] || PIP=(--no-index --find-links "$WHEELS")
}
