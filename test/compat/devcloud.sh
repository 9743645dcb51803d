# Sourced by the suites beside it: starts `kilonova dev` on a free port of loopback and ends it with the script.
# KILONOVA names a binary to test instead of one built from this tree. Sets $work, $clouds (a clouds.yaml), $url and $log.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PATH=/usr/bin:$PATH:/usr/local/go/bin:/usr/sbin:/sbin LC_ALL=C.UTF-8 PYTHONWARNINGS=ignore

need_package() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "SKIP: $1 is missing; install the package $2 (this is not root, or not Debian)"
        exit 0
    fi
    echo "==> installing $2"
    apt-get update -q >/dev/null || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$2" >/dev/null
}

start_cloud() {
    work=$(mktemp -d) cloud_pid=
    trap 'stop_cloud' EXIT
    trap 'exit 130' INT TERM
    if [ -z "${KILONOVA:-}" ]; then
        echo "==> building kilonova"
        (cd "$repository" && CGO_ENABLED=0 go build -o "$work/kilonova" ./cmd/kilonova)
        KILONOVA=$work/kilonova
    fi
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=http://127.0.0.1:$port log=$work/kilonova.log clouds=$work/data/clouds.yaml
    "$KILONOVA" dev --listen "127.0.0.1:$port" --data "$work/data" >"$log" 2>&1 &
    cloud_pid=$!
    for _ in $(seq 300); do
        grep -q "cloud is ready" "$log" && return
        kill -0 "$cloud_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "the cloud did not start:"; cat "$log"
    exit 1
}

stop_cloud() {
    [ -z "$cloud_pid" ] || { kill "$cloud_pid" 2>/dev/null && wait "$cloud_pid"; } || true
    rm -rf "$work"
}

# unexpected prints the requests that the cloud answered 500, and panics.
unexpected() { grep -E '"request failed"|^panic|^goroutine ' "$log" || true; }
