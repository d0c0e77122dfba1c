#!/usr/bin/env bash
# The image of Containerfile, built by buildah and run with a real mosquitto. Needs root, debootstrap, buildah, mosquitto
# and its clients, the network, 2 GiB and five minutes. The last line says whether it worked.
# Containers have this machine's network and are isolated by chroot alone, which works inside other containers too.
#
# Usage: tests/install/container.sh FOLDER
#   BASE=IMAGE    to build on; default: a Debian 12 made by debootstrap, for machines that reach no registry of images
#   EXTRA=NAME    cpu, or jetson
#   PIP_CONF=FILE pip's settings for the build
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
FOLDER=${1:?usage: tests/install/container.sh FOLDER}
EXTRA=${EXTRA:-cpu}
PORT=${PORT:-18834}
IMAGE=localhost/korsal-edge:test
CERTIFICATES=/etc/ssl/certs
PATH=$PATH:/usr/sbin
STARTED=()

fail() { # what is missing, the remedy
    printf '== %s\n   Fix: %s\n' "$1" "$2" >&2
    exit 1
}

end() {
    ((!${#STARTED[@]})) || kill "${STARTED[@]}" 2> /dev/null || true
    [[ -z ${CONTAINER:-} ]] || buildah rm "$CONTAINER" > /dev/null
}

inside() { # a command in the container, as its user
    buildah run --isolation chroot --volume "$FOLDER/config.toml:/etc/korsal-edge/config.toml:ro" \
        --volume "$ROOT/demo/basketball.mp4:/var/lib/korsal-edge/clip.mp4:ro" "$CONTAINER" -- "$@"
}

base_image() {
    local root=$FOLDER/root
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" > "$FOLDER/debootstrap.log"
    CONTAINER=$(buildah from scratch)
    buildah add --quiet "$CONTAINER" "$root" / > /dev/null
    buildah commit --quiet --rm "$CONTAINER" localhost/debian:bookworm-slim > /dev/null
    CONTAINER=
    rm -r "$root"
    BASE=localhost/debian:bookworm-slim
}

for tool in buildah debootstrap mosquitto mosquitto_sub; do
    command -v "$tool" > /dev/null || fail "$tool is not here" "sudo apt-get install buildah debootstrap mosquitto mosquitto-clients"
done
[[ $(id -u) == 0 ]] || fail "only root can do this" "sudo $0 $FOLDER"
mkdir -p "$FOLDER"
FOLDER=$(readlink -f "$FOLDER")
trap end EXIT

echo "== Base: ${BASE:-Debian 12 by debootstrap}"
[[ -n ${BASE:-} ]] || base_image
echo "== Build with EXTRA=$EXTRA"
settings=()
[[ -z ${PIP_CONF:-} ]] || settings=(--secret "id=pip,src=$PIP_CONF")
buildah bud --isolation chroot --network host --volume "$CERTIFICATES:$CERTIFICATES:ro" "${settings[@]}" \
    --build-arg "BASE=$BASE" --build-arg "EXTRA=$EXTRA" --tag "$IMAGE" --file "$ROOT/Containerfile" "$ROOT" > "$FOLDER/build.log" 2>&1 ||
    { tail -n 20 "$FOLDER/build.log" && exit 1; }
CONTAINER=$(buildah from "$IMAGE")

echo "== Run"
cat > "$FOLDER/config.toml" << END
[device]
name = "box"
[cameras.door]
source = "/var/lib/korsal-edge/clip.mp4"
loop = true
[actions.default]
start_score = 0.1
keep_score = 0.05
[mqtt]
port = $PORT
END
mosquitto -p "$PORT" > "$FOLDER/broker.log" 2>&1 &
STARTED+=($!)
until mosquitto_pub -p "$PORT" -t ready -n 2> /dev/null; do sleep 0.2; done
mosquitto_sub -p "$PORT" -t 'korsal/#' -v > "$FOLDER/messages.txt" &
STARTED+=($!)
inside id
inside korsal-edge --version
inside korsal-edge check
inside sh -c 'timeout --signal=TERM 30 korsal-edge run; test $? = 124' > "$FOLDER/daemon.log" 2>&1
cat "$FOLDER/daemon.log"
echo "   $(grep -c '"type":"new"' "$FOLDER/messages.txt" || true) events began," \
    "$(wc -l < "$FOLDER/messages.txt") messages in all"
grep -q 'stopped$' "$FOLDER/daemon.log" || fail "the daemon did not end at SIGTERM" "read $FOLDER/daemon.log"
grep -q '"type":"new"' "$FOLDER/messages.txt" || fail "no event reached the broker" "read $FOLDER/messages.txt"
[[ $(inside sh -c 'test -w /opt/korsal-edge || echo no') == no ]] || fail "its user can change the program" "see Containerfile"
echo "== It works"
