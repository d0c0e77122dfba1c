# Shared by all of install.sh: messages, changes, apt, Python. Sourced by install.sh.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*"; }

warn() { # the problem and the remedy; repeated at the end
    say "Warning: $*"
    WARNINGS+=("$*")
}

fail() { # the problem, the remedy
    printf 'install.sh: %s\n  Fix: %s\n' "$1" "$2" >&2
    exit 1
}

act() { # a command that changes something
    if ((DRY_RUN)); then
        printf '   %s\n' "$(printf ' %q' "$@")"
    else
        "$@"
    fi
}

clean_environment() { # so that variables cannot redirect Python and pip
    local name
    for name in "${!PYTHON@}" "${!PIP_@}"; do
        [[ $name == PYTHON || $name == PIP_SETTINGS || $PIP_SETTINGS == *" ${name#PIP_} "* ]] || unset "$name"
    done
    unset BASH_ENV ENV CDPATH VIRTUAL_ENV
}

as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

apt_install() { # packages; false where apt is unavailable
    [[ -z $WHEELS && -z $DESTDIR ]] || return 1
    { command -v apt-get && { ((DRY_RUN)) || as_root true; }; } > /dev/null 2>&1 || return 1
    say "Installing $* from apt"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    act as_root "${apt[@]}" update > /dev/null || say "apt-get update failed; continuing with the existing package lists"
    act as_root "${apt[@]}" install --no-install-recommends "$@"
}

is_fitting() { # a Python's path
    "$1" -I -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' > /dev/null 2>&1
}

find_python() { # names; sets PYTHON to the first that fits
    local name
    for name in "$@"; do
        if is_fitting "$name"; then
            PYTHON=$(command -v "$name")
            return 0
        fi
    done
    return 1
}

require_python() { # names; sets PYTHON
    find_python "$@" || { apt_install python3 python3-venv && find_python "$@"; } ||
        fail "no Python between 3.10 and 3.13 found" "sudo apt-get install python3 python3-venv, or use a newer distribution"
    say "Python: $PYTHON ($("$PYTHON" -I -c 'import platform; print(platform.python_version())'))"
}

require_venv_module() {
    local package
    "$PYTHON" -I -c 'import ensurepip, venv' 2> /dev/null && return 0
    package=python$("$PYTHON" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
    { apt_install "$package" && { ((DRY_RUN)) || "$PYTHON" -I -c 'import ensurepip, venv' 2> /dev/null; }; } ||
        fail "$PYTHON cannot create virtual environments" "sudo apt-get install $package"
}

pip_failed() {
    fail "pip could not install the packages (its message is above)" \
        "check the network, the proxy (HTTPS_PROXY), PIP_INDEX_URL or the folder of --offline, then run this again"
}
