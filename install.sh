#!/usr/bin/env bash
# Installs korsal-edge as a service, or sets up the demo and the tests in this checkout. The last block is the outline;
# usage: `./install.sh --help`.
set -euo pipefail
umask 022 # the service's user must be able to read what root installs

ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
VENV=$ROOT/.venv
PYTHON=

DESTDIR=${DESTDIR:-}
DESTDIR=${DESTDIR%/}
APP=/opt/korsal-edge       # releases/VERSION-HASH, one virtual environment each; `current` points at one
CONFIGS=/etc/korsal-edge   # config.toml, the password
REMOTE=$CONFIGS/remote       # config.toml where the service may change it; a link in $CONFIGS points there
STATE=/var/lib/korsal-edge # outbox and engines
UNITS=/etc/systemd/system  # the units, and a drop-in for this machine
BIN=/usr/local/bin         # links to the commands
L4T=/etc/nv_tegra_release  # present on a Jetson
SYSTEMD=/run/systemd/system # present where systemd is running
SCRATCH_ROOT=/run/korsal-edge-install # root's scratch folder; the next run removes what a killed one leaves there
COMMANDS=(korsal-edge korsal-convert korsal-evaluate) # not korsal-train: it needs PyTorch, which a device has not
NEEDED_MIB=1500
TEST_TOOLS=(mosquitto:mosquitto)                                            # program:package
BROWSER=chromium:chromium # asked for by itself: Ubuntu has it as a snap alone
ROOTS_TEST_TOOLS=(debootstrap:debootstrap systemd-nspawn:systemd-container) # for the test that installs the service

DRY_RUN=0
JETSON=0
EXTRA=cpu
WHEELS=
RELEASE=
PIP=()
WARNINGS=()
UNDO=()
MADE=()
BEFORE=
CHANGED=0
SCRATCH=
PIP_SETTINGS=" CACHE_DIR CERT CLIENT_CERT CONFIG_FILE CONSTRAINT DEFAULT_TIMEOUT EXTRA_INDEX_URL FIND_LINKS INDEX_URL \
NO_CACHE_DIR NO_INDEX PROXY RETRIES TIMEOUT TRUSTED_HOST " # pip's variables for where packages come from

# shellcheck source-path=SCRIPTDIR
source "$ROOT/scripts/install/common.sh"
source "$ROOT/scripts/install/checkout.sh"
source "$ROOT/scripts/install/preflight.sh"
source "$ROOT/scripts/install/service.sh"
source "$ROOT/scripts/install/config.sh"
source "$ROOT/scripts/install/argus.sh"

clean_environment

usage() {
    cat << 'TEXT'
Usage: sudo ./install.sh [--dry-run] [--offline WHEELS]
                                      install the service, or upgrade it to this checkout. It is enabled, not started; a
                                      running one is restarted, and rolled back if that fails
       sudo ./install.sh --uninstall [--purge] [--dry-run]
                                      remove it; --purge: configuration, state and user too
       ./install.sh --wheels WHEELS   fill a folder for --offline, for machines of the same kind with the same Python
       ./install.sh --demo [SOURCE]   set up and run the demo on SOURCE: a video file, /dev/video0, rtsp://...; without
                                      SOURCE, on the clip in demo/
       ./install.sh --test [ARGS]     set up the tests, run scripts/check and scripts/test (ARGS go to pytest)
       ./install.sh --help

--dry-run prints every step and changes nothing. With DESTDIR set the files are installed below that folder, as for an
image or a package: no user, no apt, no systemctl. docs/installation.md lists the files.

--demo and --test use a virtual environment in .venv/; a second run takes seconds. Nothing outside the checkout is
changed, except that missing system packages (python3-venv; mosquitto and others for the tests) are installed with apt
where that needs no password.

pip's settings for where packages come from are respected (PIP_INDEX_URL, HTTPS_PROXY, ...); those for where they go, and
Python's own variables, are ignored. The tests need PyTorch; set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU builds to
avoid its CUDA libraries.
TEXT
}

read_service_options() { # all arguments; sets DRY_RUN, WHEELS, UNINSTALL, PURGE
    UNINSTALL=0 PURGE=0
    while (($#)); do
        case $1 in
            --dry-run) DRY_RUN=1 ;;
            --uninstall) UNINSTALL=1 ;;
            --purge) PURGE=1 ;;
            --offline)
                [[ -n ${2:-} ]] || fail "--offline needs a folder" "./install.sh --help"
                WHEELS=$(readlink -m "$2")
                shift
                ;;
            *) fail "unknown option $1" "./install.sh --help" ;;
        esac
        shift
    done
    ((!PURGE || UNINSTALL)) || fail "--purge needs --uninstall" "./install.sh --help"
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
        install_tools "${TEST_TOOLS[@]}"
        install_tools "$BROWSER"
        [[ $(id -u) != 0 ]] || install_tools "${ROOTS_TEST_TOOLS[@]}"
        run_tests "${@:2}"
        ;;
    --wheels)
        [[ -n ${2:-} ]] || fail "--wheels needs a folder" "./install.sh --help"
        fill_wheels "$(readlink -m "$2")"
        ;;
    --help | -h)
        usage
        ;;
    *)
        read_service_options "$@"
        check_surroundings
        cd / # the current folder may be deleted, or another user's
        if ((UNINSTALL)); then
            uninstall $PURGE
        else
            install_service "$@"
        fi
        ;;
esac
