# Sourced by the suites beside it: starts `kilonova dev` on a free port of loopback and ends it with the script.
# DEV_CONFIG names a file with the cloud's configuration.
# KILONOVA names a binary to test instead of one built from this tree. CHECK=1 puts a proxy between the clients and the cloud that
# holds the answers of identity and image against upstream's OpenAPI files (test/compat/openapi). Sets $work, $clouds (a clouds.yaml), $url and $log.
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

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_cloud() {
    work=$(mktemp -d) cloud_pid=
    trap 'stop_cloud' EXIT
    trap 'exit 130' INT TERM
    if [ -z "${KILONOVA:-}" ]; then
        echo "==> building kilonova"
        . "$repository/deploy/go.sh"; need_go
        (cd "$repository" && CGO_ENABLED=0 go build -o "$work/kilonova" ./cmd/kilonova)
        KILONOVA=$work/kilonova
    fi
    local port
    port=$(free_port)
    url=http://127.0.0.1:$port log=$work/kilonova.log clouds=$work/data/clouds.yaml
    if [ -n "${CHECK:-}" ]; then start_proxy; fi
    local config=${DEV_CONFIG:-}
    "$KILONOVA" dev --listen "127.0.0.1:$port" ${proxy_pid:+--public-url "$url"} ${config:+--config "$config"} --data "$work/data" >"$log" 2>&1 &
    cloud_pid=$!
    for _ in $(seq 300); do
        if grep -q "cloud is ready" "$log"; then [ -z "${volume_port:-}" ] || start_volumes; return; fi
        kill -0 "$cloud_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "the cloud did not start:"; cat "$log"
    exit 1
}

# with_volumes, called before start_cloud, gives the catalog a Block Storage service: the stand-in test/cinder.
with_volumes() {
    local given=${DEV_CONFIG:-}
    volume_port=$(free_port) volume_config=$(mktemp)
    [ -z "$given" ] || cat "$given" > "$volume_config"
    printf '\n[peers]\nvolume = "http://127.0.0.1:%s/v3"\n' "$volume_port" >> "$volume_config"
    DEV_CONFIG=$volume_config
}

start_volumes() {
    . "$repository/deploy/go.sh"; need_go
    (cd "$repository" && CGO_ENABLED=0 go build -o "$work/cinder-stand-in" ./test/cinder/cinder-stand-in)
    OS_USERNAME=admin OS_PROJECT_NAME=admin OS_PASSWORD=$(admin_password) \
        "$work/cinder-stand-in" --listen "127.0.0.1:$volume_port" --identity "$url/identity" --image "$url/image" >"$work/cinder.log" 2>&1 &
    volume_pid=$!
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$volume_port") 2>/dev/null && return
        sleep 0.1
    done
    echo "the stand-in of the Block Storage service did not start:"; cat "$work/cinder.log"
    exit 1
}

# admin_password is that of the cloud's administrator.
admin_password() { python3 -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["clouds"]["kilonova-admin"]["auth"]["password"])' "$clouds"; }

# start_proxy has $url name a proxy before the cloud at $port.
start_proxy() {
    (cd "$repository" && CGO_ENABLED=0 go build -o "$work/openapi-proxy" ./test/compat/openapi/openapi-proxy)
    local before
    before=$(free_port)
    (cd "$repository" && exec "$work/openapi-proxy" --listen "127.0.0.1:$before" --target "http://127.0.0.1:$port" \
        /identity=identity/v3.14 /image=image/v2.16) >"$work/differs" 2>&1 &
    proxy_pid=$!
    url=http://127.0.0.1:$before
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$before") 2>/dev/null && return
        sleep 0.1
    done
    echo "the proxy did not start:"; cat "$work/differs"
    exit 1
}

# differences ends the proxy and prints what it has seen; false where an answer differed from the contract.
differences() {
    [ -n "${proxy_pid:-}" ] || return 0
    local rc=0
    kill "$proxy_pid" 2>/dev/null || true
    wait "$proxy_pid" || rc=$?
    proxy_pid=
    cat "$work/differs"
    return $rc
}

stop_cloud() {
    [ -z "${proxy_pid:-}" ] || { kill "$proxy_pid" 2>/dev/null && wait "$proxy_pid"; } || true
    [ -z "${volume_pid:-}" ] || { kill "$volume_pid" 2>/dev/null && wait "$volume_pid"; } || true
    [ -z "$cloud_pid" ] || { kill "$cloud_pid" 2>/dev/null && wait "$cloud_pid"; } || true
    rm -rf "$work" ${volume_config:+"$volume_config"}
}

# unexpected prints the requests that the cloud answered 500, and panics.
unexpected() { grep -E '"request (failed"|not answered)|^panic|^goroutine ' "$log" || true; }
