# Sourced, not run: need_go puts a Go on the PATH that can build this. Go 1.21 and
# newer fetch the version that go.mod asks for by themselves. Where there is none,
# or an older one (Debian 12 has 1.19), the toolchain is taken from the Go module
# proxy, from where those newer ones take it too, and checked.
go_version=1.26.8
go_sum_amd64=30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7
go_sum_arm64=02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99
go_home=/usr/local/lib/kilonova/go-$go_version

need_go() {
    export PATH=$PATH:/usr/local/go/bin
    case $(go env GOVERSION 2>/dev/null) in
        go1.2[1-9]*|go1.[3-9][0-9]*) return 0 ;;
    esac
    export PATH=$go_home/bin:$PATH
    [ ! -x "$go_home/bin/go" ] || return 0
    [ "$(id -u)" = 0 ] || { echo "Go 1.21 or newer is needed: https://go.dev/doc/install" >&2; return 1; }
    local arch; arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
    case $arch in
        amd64|x86_64) arch=amd64 sum=$go_sum_amd64 ;;
        arm64|aarch64) arch=arm64 sum=$go_sum_arm64 ;;
        *) echo "Go 1.21 or newer is needed: https://go.dev/doc/install" >&2; return 1 ;;
    esac
    echo "==> fetching Go $go_version"
    local p missing='' dir
    for p in curl unzip ca-certificates; do dpkg-query -W -f='${db:Status-Abbrev}' $p 2>/dev/null | grep -q '^ii' || missing="$missing $p"; done
    [ -z "$missing" ] || { apt-get update -q >/dev/null || true; DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null; }
    dir=$(mktemp -d) || return 1
    curl -sSf --retry 3 -o "$dir/go.zip" "https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go$go_version.linux-$arch.zip" &&
        echo "$sum  $dir/go.zip" | sha256sum -c --quiet - &&
        unzip -q "$dir/go.zip" -d "$dir" &&
        chmod -R a+rX "$dir" && chmod a+x "$dir"/golang.org/toolchain*/bin/* "$dir"/golang.org/toolchain*/pkg/tool/*/* &&
        install -d "${go_home%/*}" && rm -rf "$go_home" && mv "$dir"/golang.org/toolchain* "$go_home"
    local rc=$?
    rm -rf "$dir"
    [ $rc = 0 ] || echo "Go $go_version could not be fetched; see https://go.dev/doc/install" >&2
    return $rc
}
