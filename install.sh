#!/usr/bin/env bash
# Sets korsal-edge up in this checkout. The last block is the summary; `./install.sh --help` tells the rest.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
VENV=$ROOT/.venv
PYTHON=

usage() {
    cat << 'TEXT'
Usage: ./install.sh --demo [SOURCE]   set up what the demo needs and run it on SOURCE: a video file, /dev/video0,
                                      rtsp://...; without SOURCE, on the clip that lies in demo/
       ./install.sh --test [ARGS]     set up what the tests need, run scripts/check and scripts/test (ARGS go to pytest)
       ./install.sh --help

Both work in a virtual environment in .venv/ and can be run again: the second time takes seconds. Nothing outside the
checkout is changed, except that missing system packages (python3-venv; mosquitto for the tests) come from apt where
this may be done without a password. No service is installed yet.

pip's own settings count (PIP_INDEX_URL, HTTPS_PROXY, ...). The tests need PyTorch; set PIP_EXTRA_INDEX_URL to PyTorch's
index of CPU builds to spare yourself its CUDA libraries.
TEXT
}

say() { printf '==> %s\n' "$*"; }

fail() { # what is wrong, the cure
    printf 'install.sh: %s\n  Cure: %s\n' "$1" "$2" >&2
    exit 1
}

as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

apt_install() { # packages; false where apt may not be used
    { command -v apt-get && as_root true; } > /dev/null 2>&1 || return 1
    say "Installing $* from apt"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    as_root "${apt[@]}" update > /dev/null || say "apt-get update failed; trying with the lists at hand"
    as_root "${apt[@]}" install --no-install-recommends "$@"
}

check_checkout() {
    [[ $(uname -s) == Linux ]] || fail "this is $(uname -s), korsal-edge runs on Linux" "use a Linux machine"
    [[ -w $ROOT ]] || fail "$ROOT is not writable for $(id -un)" "clone the repository into a directory of your own"
    [[ ! -e $VENV || -w $VENV ]] || fail "$VENV belongs to another user" "sudo rm -r '$VENV', then run this again"
    [[ ! -e /etc/nv_tegra_release ]] || say "This is a Jetson: for now all of this runs on its CPU, not through TensorRT"
}

is_fitting() { # a Python's path
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' > /dev/null 2>&1
}

find_python() { # sets PYTHON
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do
        if is_fitting "$name"; then
            PYTHON=$(command -v "$name")
            return 0
        fi
    done
    return 1
}

require_python() {
    find_python || { apt_install python3 python3-venv && find_python; } ||
        fail "no Python between 3.10 and 3.13 found" "sudo apt-get install python3 python3-venv, or a newer distribution"
    say "Python: $PYTHON ($("$PYTHON" -c 'import platform; print(platform.python_version())'))"
}

require_venv_module() {
    local package
    "$PYTHON" -c 'import ensurepip, venv' 2> /dev/null && return 0
    package=python$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
    { apt_install "$package" && "$PYTHON" -c 'import ensurepip, venv' 2> /dev/null; } ||
        fail "$PYTHON cannot make virtual environments" "sudo apt-get install $package"
}

is_whole() { # an environment that was made here and not moved, and has pip
    is_fitting "$VENV/bin/python" && grep -qsF "$VENV" "$VENV/bin/activate" &&
        "$VENV/bin/python" -m pip --version > /dev/null 2>&1
}

make_venv() {
    if is_whole; then
        say "Virtual environment: $VENV (there already)"
        return 0
    fi
    require_python
    require_venv_module
    say "Virtual environment: $VENV"
    "$PYTHON" -m venv --clear "$VENV" || fail "could not make $VENV" "free disk space, or sudo rm -r '$VENV'"
}

install_packages() { # extras of pyproject.toml
    local extra extras wanted quiet=()
    wanted=$(cat "$ROOT/pyproject.toml" "$ROOT/edge/__init__.py" | sha256sum)
    extras=$(IFS=, && echo "$*")
    if all_installed "$wanted" "$@"; then
        say "Packages: [$extras] (there already)"
        return 0
    fi
    say "Packages: [$extras]; the first time this takes minutes"
    [[ -t 1 ]] || quiet=(--quiet)
    (cd "$ROOT" && .venv/bin/python -m pip install --no-input --disable-pip-version-check "${quiet[@]}" -e ".[$extras]") ||
        fail "pip could not install the packages (its message is above)" \
            "check the network, the proxy (HTTPS_PROXY) and PIP_INDEX_URL, then run this again"
    for extra in "$@"; do
        echo "$wanted" > "$VENV/installed-$extra"
    done
}

all_installed() { # state of pyproject.toml, extras
    local extra wanted=$1
    shift
    for extra in "$@"; do
        [[ -f $VENV/installed-$extra && $(< "$VENV/installed-$extra") == "$wanted" ]] || return 1
    done
}

install_broker() {
    PATH=$PATH:/usr/sbin command -v mosquitto > /dev/null && return 0
    apt_install mosquitto ||
        say "mosquitto is missing and apt may not be used here: the tests that need it are skipped. Cure:" \
            "sudo apt-get install mosquitto"
}

run_demo() { # arguments of `korsal-edge demo`
    say "korsal-edge demo${*:+ $*}"
    "$VENV/bin/korsal-edge" demo "$@"
}

run_tests() { # arguments of pytest; the tests run even where a check failed
    local failed=0
    say "scripts/check"
    "$ROOT/scripts/check" || failed=1
    say "scripts/test"
    "$ROOT/scripts/test" "$@" || failed=1
    return $failed
}

case ${1:-} in
    --demo)
        check_checkout
        make_venv
        install_packages cpu demo
        run_demo "${@:2}"
        ;;
    --test)
        check_checkout
        make_venv
        install_packages cpu demo train dev rtx
        install_broker
        run_tests "${@:2}"
        ;;
    --help | -h)
        usage
        ;;
    "")
        usage
        exit 2
        ;;
    *)
        fail "unknown option $1" "./install.sh --help"
        ;;
esac
