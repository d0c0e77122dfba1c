# The service's config.toml: installed, kept where it was edited, handed to the service where that may change it. Sourced by
# install.sh; what it uses is in service.sh.
# shellcheck shell=bash

remote_config_allowed() { # [mqtt] allow_remote_config, or [web] allow_changes where that is written down
    [[ -f $CONFIGS/config.toml ]] && grep -Eqs '^[^#]*\ballow_(remote_config|changes)[[:space:]]*=[[:space:]]*true' $CONFIGS/config.toml
}

install_config() { # an edited one stays; the new version's is written beside it where it has changed
    local file=$DESTDIR$CONFIGS/config.toml before=$DESTDIR$APP/$BEFORE/config.toml
    act rm -f "$file.partial" "$file.new-link" # of a killed run
    [[ ! -e $file || -f $file ]] || fail "$file is not a file" "move it away" # reading a pipe would never end
    make_folder "$DESTDIR$CONFIGS" 750
    [[ -n $DESTDIR ]] || act chown root:korsal-edge $CONFIGS
    if [[ ! -e $file ]] || cmp -s "$file" "$before"; then # none, or unedited
        put "$ROOT/config.toml" "$file" 640
    elif cmp -s "$file" "$ROOT/config.toml" || cmp -s "$before" "$ROOT/config.toml"; then
        say "File: $file (kept)"
    else
        put "$ROOT/config.toml" "$file.new" 640
        warn "$file was edited and is kept; this version's is beside it. Fix: compare with $file.new"
    fi
    [[ -z $DESTDIR ]] || return 0
    act chmod 750 $CONFIGS
    [[ -L $file ]] || act chown root:korsal-edge "$file" # it may hold the cameras' passwords
    if remote_config_allowed; then
        hand_config_to_service
    else
        return_config_to_root
    fi
}

config_is_the_services() {
    [[ $(readlink $CONFIGS/config.toml) == "${REMOTE##*/}/config.toml" ]]
}

hand_config_to_service() { # in a folder of its own: the one above is root's, who reads the password there
    local file=$CONFIGS/config.toml
    if [[ -L $file ]]; then
        config_is_the_services || warn "$file is a link of your own, so the service may not change it. Fix: put the file itself there"
        return 0
    fi
    say "File: $file (in $REMOTE, where the service may change it)"
    keep $REMOTE
    keep "$file" # undone first, so that the link never dangles
    act rm -rf $REMOTE
    act mkdir -m 750 $REMOTE
    act install -m 640 "$file" $REMOTE/config.toml
    act chown -R korsal-edge:korsal-edge $REMOTE
    act ln -sfn "${REMOTE##*/}/config.toml" "$file.new-link"
    act mv -T "$file.new-link" "$file"
}

return_config_to_root() {
    local file=$CONFIGS/config.toml
    if config_is_the_services; then
        say "File: $file (the service may no longer change it)"
        keep "$file"
        # Read as the service, which could have placed a link to one of root's files there.
        ((DRY_RUN)) || runuser -u korsal-edge -- cat "$file" > "$SCRATCH/config.toml" || fail "$file cannot be read" "repair it"
        act install -m 640 -g korsal-edge "$SCRATCH/config.toml" "$file.partial"
        act mv -T "$file.partial" "$file"
    elif [[ -L $file || ! -e $REMOTE ]]; then
        return 0
    fi
    keep $REMOTE # also where a file has replaced the link
    act rm -rf $REMOTE
}

check_config() { # before the service reads it
    local python=$DESTDIR$APP/releases/$RELEASE/bin/python file=$DESTDIR$CONFIGS/config.toml
    ((!DRY_RUN)) || return 0
    (cd / && "$python" -I - "$file") << 'PYTHON' || fail "$file is not valid for this version" "fix what is named above, then run this again"
import sys

from edge.config.config_file import ConfigError, load

try:
    load(sys.argv[1])
except ConfigError as error:
    sys.exit(str(error))
PYTHON
}
