#!/bin/bash
# Runs what touches SQL on PostgreSQL and MariaDB too: starts a throw-away server
# of each in a temporary folder, without a network, and stops them at the end.
#   run.sh                   the stores, the tasks, the network API, and the whole cloud
#   run.sh PACKAGE...        only these, e.g. ./service/network/store
#   run.sh -- COMMAND...     a command, with KILONOVA_TEST_DATABASES set
# Needs root: the packages are installed if they are missing, and PostgreSQL
# refuses to run as root, so that another user has to be taken.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin LC_ALL=C.UTF-8 CGO_ENABLED=0

[ "$(id -u)" = 0 ] || { echo "test/databases needs root."; exit 1; }

need() { # need PACKAGE...: without starting what they bring
    local missing= policy=/usr/sbin/policy-rc.d made= p
    for p in "$@"; do dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"; done
    [ -n "$missing" ] || return 0
    echo "==> installing$missing"
    if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' > $policy; chmod +x $policy; made=1; fi
    apt-get update -q >/dev/null || true
    # No cluster of the system's: this script makes its own.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
    local rc=0
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold $missing >"$dir/apt.log" 2>&1 || rc=$?
    [ -z "$made" ] || rm -f $policy
    [ $rc = 0 ] || { tail -n 20 "$dir/apt.log"; return 1; }
}

# In memory where there is a gigabyte of it: tests make and drop thousands of tables.
base=/tmp
[ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 1048576 ] 2>/dev/null && base=/dev/shm
dir=$(mktemp -d $base/kilonova-databases.XXXXXX)
pg= my=
stop() {
    local pid
    [ -z "$pg" ] || kill -INT "$pg" 2>/dev/null || true # TERM would wait for its clients
    [ -z "$my" ] || kill -TERM "$my" 2>/dev/null || true
    for pid in $pg $my; do
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap stop EXIT
chmod 755 "$dir"

within() { # within SECONDS COMMAND...
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}

# The locale is one that does not sort by bytes, and neither server is told to
# keep what it writes through a power failure.
start_postgresql() {
    need postgresql
    local bin; bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    install -d -o postgres "$dir/pg"
    runuser -u postgres -- "$bin/initdb" -D "$dir/pg/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US \
        --no-sync >"$dir/pg.log" 2>&1 || { cat "$dir/pg.log"; return 1; }
    # setpriv, unlike runuser, becomes the server, whose process id this then is.
    setpriv --reuid=postgres --regid=postgres --init-groups -- "$bin/postgres" -D "$dir/pg/data" -k "$dir/pg" -c listen_addresses= \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off >>"$dir/pg.log" 2>&1 &
    pg=$!
    within 30 "$bin/pg_isready" -q -h "$dir/pg" || { cat "$dir/pg.log"; return 1; }
    urls="$urls postgresql://postgres@/postgres?host=$dir/pg"
}

start_mariadb() {
    need mariadb-server-core mariadb-client-core
    getent passwd mysql >/dev/null && user=mysql || user=root
    install -d -o $user "$dir/my"
    mariadb-install-db --no-defaults --user=$user --datadir="$dir/my/data" --auth-root-authentication-method=normal --skip-test-db \
        >"$dir/my.log" 2>&1 || { cat "$dir/my.log"; return 1; }
    mariadbd --no-defaults --user=$user --datadir="$dir/my/data" --socket="$dir/my/s" --pid-file="$dir/my/pid" --skip-networking \
        --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --skip-log-bin --character-set-server=latin1 >>"$dir/my.log" 2>&1 &
    my=$!
    within 30 mariadb --no-defaults -u root -S "$dir/my/s" -e 'SELECT 1' || { cat "$dir/my.log"; return 1; }
    urls="$urls mysql://root@/mysql?unix_socket=$dir/my/s"
}

urls=
start_postgresql
start_mariadb
export KILONOVA_TEST_DATABASES="${urls# }"
if [ "${1:-}" = -- ]; then shift; "$@"; exit; fi

packages=("$@")
[ $# -gt 0 ] || packages=(./internal/db/... ./internal/task ./service/*/store ./service/network/api ./test/cloud)
# One package at a time, so that times mean something.
. deploy/go.sh; need_go
rc=0; go test -count=1 -p 1 -v -timeout 30m "${packages[@]}" >"$dir/out" 2>&1 || rc=$?
[ $rc = 0 ] || grep -E -B30 '^ *--- FAIL|^panic:|build failed' "$dir/out" | grep -v '^ *--- PASS\|^=== ' | tail -n 200 || true

# A test that runs on several databases has one subtest for each, named by it.
awk '
/^    --- (PASS|FAIL): / {
    split($3, part, "/"); form = part[2]; gsub(/[()s]/, "", $4)
    if (!(form in known)) { known[form] = 1; forms[++n] = form }
    if ($2 == "PASS:") { pass[form]++; passed++ } else { fail[form]++; failed++ }
    took[form] += $4
}
/^(ok|FAIL)\t/ {
    sub(/^kilonova\//, "", $2)
    for (i = 1; i <= n; i++) { f = forms[i]; printf "%-28s %-12s %4d passed %4d failed %8.2f s\n", $2, f, pass[f], fail[f], took[f] }
    if ($1 == "FAIL" && n == 0) { print $2 " failed"; failed++ }
    delete known; delete forms; delete pass; delete fail; delete took; n = 0
}
END { printf "%d passed, %d failed\n", passed, failed }' "$dir/out"
exit $rc
