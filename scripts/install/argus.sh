# The service's right to restart NVIDIA's camera service, where [cameras] restart_argus is set. Sourced by install.sh.
#
# polkit has had rules for single units since 0.106. What older ones could grant is all units, which is root's power:
# there (JetPack 5 and 6) a path unit of systemd restarts the service when the daemon writes a file.
# shellcheck shell=bash

RULES=/etc/polkit-1/rules.d/50-korsal-edge.rules
ARGUS_LINK=$UNITS/korsal-edge.service.wants/korsal-edge-argus.path

argus_may_be_restarted() { # [cameras] restart_argus
    [[ -f $CONFIGS/config.toml ]] && grep -Eqs '^[^#]*\brestart_argus[[:space:]]*=[[:space:]]*true' $CONFIGS/config.toml
}

polkit_has_rules() {
    local version
    version=$(pkaction --version 2> /dev/null | awk '{ print $NF }')
    [[ -n $version && $version != 0.[0-9] && $version != 0.[0-9][0-9] && $version != 0.10[0-5] ]]
}

install_argus_rights() { # give them, or take them back
    [[ -z $DESTDIR ]] || return 0
    if ! argus_may_be_restarted; then
        remove_argus_rights
    elif polkit_has_rules; then
        put "$ROOT/systemd/korsal-edge-argus.rules" $RULES 644
    else
        put "$ROOT/systemd/korsal-edge-argus.service" $UNITS/korsal-edge-argus.service 644
        put "$ROOT/systemd/korsal-edge-argus.path" $UNITS/korsal-edge-argus.path 644
        point "$ARGUS_LINK" ../korsal-edge-argus.path
    fi
}

remove_argus_rights() {
    local file
    for file in $RULES $UNITS/korsal-edge-argus.{service,path} "$ARGUS_LINK"; do
        [[ -e $file || -L $file ]] || continue
        say "File: $file (removed)"
        [[ $file != *.path || $file == "$ARGUS_LINK" ]] || systemctl_if_running stop korsal-edge-argus.path
        [[ -z $SCRATCH ]] || keep "$file" # not while uninstalling
        act rm -f "$file"
    done
    [[ -d ${ARGUS_LINK%/*} ]] || return 0
    undo_by mkdir -p "${ARGUS_LINK%/*}"
    act rmdir --ignore-fail-on-non-empty "${ARGUS_LINK%/*}"
}
