# The service: installing, upgrading and uninstalling it. Sourced by install.sh.
#
# Every change registers how to undo it (`undo_by`), and is undone where a later one fails. A killed run undoes nothing:
# so every step leaves the old or the new state, never half of one, each repeats what a killed run may have left undone,
# and the previous state is recorded in a file (`remember`) until everything is done.
# shellcheck shell=bash

undo_by() { # a command that undoes the next change; the last one runs first
    ((DRY_RUN)) || UNDO+=("$(printf '%q ' "$@")")
}

end() { # on exit
    local index
    for ((index = ${#UNDO[@]} - 1; index >= 0; index--)); do
        ((index < ${#UNDO[@]} - 1)) || say "Undoing the changes" >&2
        eval "${UNDO[index]}" || true
    done
    [[ -z $SCRATCH ]] || rm -rf "$SCRATCH"
}

keep() { # path: save its present state
    CHANGED=1
    undo_by rm -rf "$1"
    [[ -e $1 || -L $1 ]] || return 0
    local kept=$SCRATCH/${#UNDO[@]}
    act cp -a "$1" "$kept"
    ((DRY_RUN)) || UNDO[-1]=$(printf '%q ' put_back "$kept" "$1")
}

put_back() { # what was kept, its path; a file is replaced atomically
    rm -rf "$2.partial"
    cp -a "$1" "$2.partial"
    [[ -L $2 || ! -d $2 ]] || rm -rf "$2"
    mv -T "$2.partial" "$2"
}

make_folder() { # path and the missing ones above it, mode of the last
    local path=$1
    [[ ! -d $path && " ${MADE[*]} " != *" $path "* ]] || return 0
    make_folder "$(dirname "$path")" 755
    MADE+=("$path")
    undo_by rmdir "$path"
    act mkdir -m "$2" "$path"
}

put() { # source, target, mode
    ! cmp -s "$1" "$2" || return 0
    say "File: $2"
    make_folder "$(dirname "$2")" 755
    keep "$2"
    act rm -f "$2.partial"
    act install -m "$3" "$1" "$2.partial"
    act mv -T "$2.partial" "$2"
}

point() { # link, where it points
    [[ $(readlink "$1") != "$2" ]] || return 0
    say "Link: $1 -> $2"
    make_folder "$(dirname "$1")" 755
    keep "$1"
    act ln -sfn "$2" "$1.new"
    act mv -T "$1.new" "$1" # atomically
}

make_scratch() {
    if ((DRY_RUN)) || [[ -n $DESTDIR || $(id -u) != 0 ]]; then
        SCRATCH=$(mktemp -d)
        return 0
    fi
    lock
    rm -rf "$SCRATCH_ROOT"
    mkdir -m 700 "$SCRATCH_ROOT"
    SCRATCH=$SCRATCH_ROOT
}

lock() { # one install.sh at a time; a pip left by a killed run holds the lock too until it ends
    exec 9> "$SCRATCH_ROOT.lock"
    flock --nonblock 9 && return 0
    say "Waiting for another install.sh, or for processes of a killed one, to end"
    flock --timeout 900 9 || fail "another install.sh is running" "see \`fuser -v $SCRATCH_ROOT.lock\`, then run this again"
}

remember() { # the previous release, also for the next run if this one is killed; sets BEFORE
    local file=$DESTDIR$APP/unfinished
    if [[ -f $file ]]; then
        say "An earlier installation was interrupted: this run completes it"
        BEFORE=$(< "$file")
        CHANGED=1
        return 0
    fi
    BEFORE=$(readlink "$DESTDIR$APP/current" || true)
    make_folder "$DESTDIR$APP" 755
    undo_by rm -f "$file"
    ((!DRY_RUN)) || return 0
    echo "$BEFORE" > "$file.partial"
    mv -T "$file.partial" "$file"
}

name_release() { # sets RELEASE: the version, and a hash of everything that goes into it
    local version hash
    version=$(sed -nE 's/^__version__ = "(.*)"/\1/p' "$ROOT/edge/__init__.py")
    hash=$(cd "$ROOT" && {
        find edge train convert models demo docs/event.schema.json config.toml pyproject.toml \
            scripts/install/machine_dropin.sh \
            -name __pycache__ -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        echo "$EXTRA"
        "$PYTHON" -VV
    } | sha256sum | cut -c 1-12)
    RELEASE=$version-$hash
}

build_release() { # a new environment beside the existing ones
    local folder=$DESTDIR$APP/releases/$RELEASE options=() pip
    if [[ -f $folder/complete ]]; then
        say "Release: $RELEASE (there already)"
        return 0
    fi
    say "Release: $RELEASE in $folder; this takes minutes"
    make_folder "$DESTDIR$APP/releases" 755
    undo_by rm -rf "$folder"
    ((!JETSON)) || options=(--system-site-packages)
    act "$PYTHON" -I -m venv --clear "${options[@]}" "$folder" || fail "could not create $folder" "free disk space there"
    pip=("$folder/bin/python" -I -m pip install --no-input --disable-pip-version-check --quiet "${PIP[@]}")
    ((!JETSON)) || pip+=(-c "$(no_opencv)")
    (cd "$ROOT" && act "${pip[@]}" ".[$EXTRA]") || pip_failed
    ((DRY_RUN)) || finish_release "$folder"
}

no_opencv() { # a constraints file that keeps pip from installing any OpenCV
    printf '%s<0\n' opencv-python opencv-python-headless opencv-contrib-python opencv-contrib-python-headless \
        > "$SCRATCH/no-opencv.txt"
    echo "$SCRATCH/no-opencv.txt"
}

finish_release() { # folder: check it, and only then mark it complete
    local python=$1/bin/python
    if ((JETSON)); then
        "$python" -I -c 'import cv2, sys; sys.exit(cv2.__file__.startswith(sys.prefix))' ||
            fail "pip has installed an OpenCV that hides JetPack's" "report this as a bug, with the versions above"
    fi
    report_opencv "$python"
    "$python" -I -m pip check --disable-pip-version-check --quiet > "$SCRATCH/check" 2>&1 || ((JETSON)) ||
        fail "the packages are incompatible: $(< "$SCRATCH/check")" "run this again; report it if that does not help"
    "$python" -I "$1/bin/korsal-edge" --version > /dev/null || fail "$1 does not start" "see the message above"
    sed -i "1s|.*|#!$APP/releases/$RELEASE/bin/python|" "$1/bin/"korsal-* # without DESTDIR
    cp "$ROOT/config.toml" "$1/config.toml"                               # as shipped, for the next upgrade
    install -m 755 "$ROOT/scripts/install/machine_dropin.sh" "$1/machine-dropin"
    touch "$1/complete"
}

make_user() { # the drop-in gives it the groups that exist
    [[ -z $DESTDIR ]] || return 0
    if ! id korsal-edge > /dev/null 2>&1; then
        say "User: korsal-edge"
        undo_by userdel korsal-edge
        act useradd --system --user-group --home-dir $STATE --no-create-home --shell /usr/sbin/nologin korsal-edge
    fi
}

make_state() { # now, not by systemd at the first start, so that `doctor` can check it before
    [[ -z $DESTDIR ]] || return 0
    make_folder "$STATE" 700
    act chown korsal-edge:korsal-edge "$STATE"
}

install_units() { # the service's state
    local name
    [[ $1 != active ]] || undo_by systemctl restart korsal-edge
    undo_by systemctl_if_running daemon-reload
    for name in korsal-edge korsal-edge-machine; do
        put "$ROOT/systemd/$name.service" "$DESTDIR$UNITS/$name.service" 644
    done
    if [[ -z $DESTDIR ]]; then
        "$ROOT/scripts/install/machine_dropin.sh" > "$SCRATCH/machine.conf"
        put "$SCRATCH/machine.conf" $UNITS/korsal-edge.service.d/10-machine.conf 644
    else
        make_folder "$DESTDIR$UNITS/korsal-edge.service.d" 755 # korsal-edge-machine.service writes it at the first start
    fi
    [[ $(readlink "$DESTDIR$APP/current") != "releases/$RELEASE" || ! -d $DESTDIR$APP/${BEFORE:-none} ]] ||
        undo_by point "$DESTDIR$APP/current" "$BEFORE" # a killed run has switched it already
    point "$DESTDIR$APP/current" "releases/$RELEASE"
    for name in "${COMMANDS[@]}"; do
        point "$DESTDIR$BIN/$name" "$APP/current/bin/$name"
    done
}

systemctl_if_running() { # does nothing without systemd, as in a chroot
    [[ -n $DESTDIR || ! -d $SYSTEMD ]] || act systemctl "$@"
}

service_state() { # active, activating (where it keeps failing), inactive, ...
    [[ -n $DESTDIR || ! -d $SYSTEMD ]] || systemctl show --property ActiveState --value korsal-edge
}

activate() { # the service's state
    [[ -z $DESTDIR ]] || return 0
    systemctl_if_running daemon-reload
    if [[ -z $BEFORE ]]; then # afterwards it is the user's choice
        say "Service: enabled"
        undo_by systemctl disable --quiet korsal-edge
        act systemctl enable --quiet korsal-edge
    fi
    if [[ $1 == activating ]]; then # it failed before: no reason to roll back
        act systemctl restart --no-block korsal-edge
    elif [[ $1 == active ]] && ((CHANGED)); then
        say "Service: restarted"
        act systemctl restart korsal-edge || {
            journalctl --no-pager -n 20 -u korsal-edge >&2 || true
            fail "the service does not start in this version; its last log lines are above" "fix what they name, then run this again"
        }
    fi
}

forget_releases() { # all but this and the previous one, and what killed runs have left
    local folder
    for folder in "$DESTDIR$APP/releases/"*; do
        [[ -d $folder && ${folder##*/} != "$RELEASE" && releases/${folder##*/} != "$BEFORE" ]] || continue
        [[ $BEFORE != "releases/$RELEASE" || ! -f $folder/complete ]] || continue # the same release again: the others stay
        act rm -f "$folder/complete" # a partial release does not count
        act rm -rf "$folder"
    done
}

install_service() { # arguments, for the remedy in messages
    local state
    trap end EXIT
    make_scratch
    preflight "$@"
    name_release
    state=$(service_state)
    remember
    build_release
    make_user
    make_state
    install_config
    check_config
    install_units "$state"
    install_argus_rights
    activate "$state"
    UNDO=()
    forget_releases
    act rm -f "$DESTDIR$APP/unfinished"
    print_summary "$state"
}

print_summary() { # the service's previous state
    local warning
    ((!DRY_RUN)) || { say "Nothing was changed (--dry-run)" && return 0; }
    say "korsal-edge $RELEASE is installed"
    for warning in "${WARNINGS[@]}"; do
        say "Warning: $warning"
    done
    [[ $1 != activating ]] || say "It was failing before; check it with: systemctl status korsal-edge"
    [[ -n $DESTDIR || $1 == active || $1 == activating ]] || cat << TEXT
    Next: name your cameras and broker in $CONFIGS/config.toml, then
        sudo korsal-edge doctor
        sudo systemctl start korsal-edge
TEXT
}

uninstall() { # purge?
    local name
    check_rights --uninstall
    ((DRY_RUN)) || [[ -n $DESTDIR || $(id -u) != 0 ]] || lock
    if [[ -z $DESTDIR ]]; then
        systemctl_if_running disable --now --quiet korsal-edge 2> /dev/null || true
        act rm -f $UNITS/multi-user.target.wants/korsal-edge.service # without a running systemd
    fi
    act rm -rf "$DESTDIR$UNITS"/korsal-edge{,-machine}.service{,.partial} \
        "$DESTDIR$UNITS"/korsal-edge.service.d/10-machine.conf{,.partial} "$DESTDIR$APP"
    for name in "${COMMANDS[@]}"; do
        act rm -f "$DESTDIR$BIN/$name"{,.new}
    done
    ((!$1)) || act rm -rf "$DESTDIR$UNITS/korsal-edge.service.d" "$DESTDIR$CONFIGS" "$DESTDIR$STATE"
    [[ ! -d $DESTDIR$UNITS/korsal-edge.service.d ]] || act rmdir --ignore-fail-on-non-empty "$DESTDIR$UNITS/korsal-edge.service.d"
    [[ -n $DESTDIR ]] || remove_argus_rights
    systemctl_if_running daemon-reload
    if (($1)) && [[ -z $DESTDIR ]] && id korsal-edge > /dev/null 2>&1; then
        act userdel korsal-edge
    fi
    (($1)) || say "Kept: $CONFIGS, $STATE and the user korsal-edge (--purge removes them too)"
    say "korsal-edge is uninstalled"
}

fill_wheels() { # folder: the service's packages for this machine, and its build backend
    local builds
    read_board
    require_system_python
    check_surroundings
    SCRATCH=$(mktemp -d)
    trap end EXIT
    builds=$(sed -nE 's/^requires = \["(.*)"\]$/\1/p' "$ROOT/pyproject.toml")
    "$PYTHON" -I -m venv "$SCRATCH/venv"
    (cd "$ROOT" && "$SCRATCH/venv/bin/python" -I -m pip wheel --no-input --disable-pip-version-check --quiet \
        --wheel-dir "$1" ".[$EXTRA]" "$builds") || pip_failed
    rm -f "$1"/korsal_edge-*.whl # built from the checkout, on the device
    say "$(find "$1" -name '*.whl' | wc -l) wheels in $1; there: sudo ./install.sh --offline $1"
}
