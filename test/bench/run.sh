#!/bin/bash
# Measures what `make build` builds; prints one JSON document. Flags: see doc.go, or --help.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:/usr/local/go/bin CGO_ENABLED=0
. deploy/go.sh; need_go >&2
echo "==> building" >&2
go build -trimpath -ldflags='-s -w' -o bin/kilonova ./cmd/kilonova
go build -trimpath -o bin/bench ./test/bench
exec bin/bench "$@"
