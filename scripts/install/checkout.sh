# The demo and the tests, in a virtual environment of this checkout. Sourced by install.sh.
# shellcheck shell=bash

check_checkout() {
    [[ $(uname -s) == Linux ]] || fail "this is $(uname -s), korsal-edge runs on Linux" "use a Linux machine"
    [[ -w $ROOT ]] || fail "$ROOT is not writable for $(id -un)" "clone the repository into a folder of your own"
    [[ ! -e $VENV || -w $VENV ]] || fail "$VENV belongs to another user" "sudo rm -r '$VENV', then run this again"
    [[ ! -e $L4T ]] || say "This is a Jetson: demo and tests run on its CPU; the service uses TensorRT"
}

is_whole() { # an environment created here, not moved, and with pip
    is_fitting "$VENV/bin/python" && grep -qsF "$VENV" "$VENV/bin/activate" &&
        "$VENV/bin/python" -I -m pip --version > /dev/null 2>&1
}

make_venv() {
    if is_whole; then
        say "Virtual environment: $VENV (there already)"
        return 0
    fi
    require_python python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3
    require_venv_module
    say "Virtual environment: $VENV"
    "$PYTHON" -I -m venv --clear "$VENV" || fail "could not create $VENV" "free disk space, or sudo rm -r '$VENV'"
}

install_packages() { # extras of pyproject.toml
    local extra extras wanted quiet=()
    wanted=$(cat "$ROOT/pyproject.toml" "$ROOT/edge/__init__.py" | sha256sum)
    extras=$(IFS=, && echo "$*")
    if all_installed "$wanted" "$@"; then
        say "Packages: [$extras] (there already)"
        return 0
    fi
    say "Packages: [$extras]; the first run takes minutes"
    [[ -t 1 ]] || quiet=(--quiet)
    (cd "$ROOT" && .venv/bin/python -I -m pip install --no-input --disable-pip-version-check "${quiet[@]}" -e ".[$extras]") ||
        pip_failed
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

install_tools() { # program:package...
    local tool packages=()
    for tool in "$@"; do
        PATH=$PATH:/usr/sbin command -v "${tool%%:*}" > /dev/null || packages+=("${tool##*:}")
    done
    ((${#packages[@]} == 0)) || apt_install "${packages[@]}" ||
        say "Missing, and apt is unavailable: the tests that need them are skipped. Fix:" \
            "sudo apt-get install ${packages[*]}"
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
