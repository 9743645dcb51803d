# Sourced by run.sh: a second set of upstream's services from the reference cloud's packages, on ports and databases of their own, that know
# $keystone as their identity service. The reference cloud lends its MariaDB and RabbitMQ. Everything lies below $work, runs as this user and
# ends with stop_upstream.
upstream_pids=()

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# up NAME COMMAND...: start a daemon with its log at $work/NAME.log
up() {
    local name=$1; shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    upstream_pids+=($!)
}

stop_upstream() {
    local p
    for p in "${upstream_pids[@]}"; do kill "$p" 2>/dev/null || true; done
    for p in "${upstream_pids[@]}"; do wait "$p" 2>/dev/null || true; done
    upstream_pids=()
    [ -z "${volumes:-}" ] || ! mountpoint -q "$volumes" || umount "$volumes"
    drop_databases
}

drop_databases() {
    local d
    for d in glance cinder nova_api nova_cell0 nova_cell1; do echo "DROP DATABASE IF EXISTS swap_$d;"; done | mariadb || true
    rabbitmqctl -q delete_vhost swap >/dev/null 2>&1 || true
}

make_databases() {
    drop_databases
    local d
    for d in glance cinder nova_api nova_cell0 nova_cell1; do echo "CREATE DATABASE swap_$d CHARACTER SET utf8mb4;"; done | mariadb
    rabbitmqctl -q add_vhost swap
    rabbitmqctl -q set_permissions -p swap openstack '.*' '.*' '.*'
}

database() { echo "connection = $DBURL/swap_$1?charset=utf8mb4"; }

# who SECTION USER: how a service logs in to $keystone, and how its middleware does
who() {
    printf '[%s]\nauth_type = password\nauth_url = %s\nusername = %s\npassword = %s\nproject_name = service\n' "$1" "$keystone" "$2" "$service_password"
    printf 'user_domain_name = Default\nproject_domain_name = Default\nregion_name = RegionOne\n'
}
middleware() { # USER SERVICE-TYPE
    who keystone_authtoken "$1"
    printf 'www_authenticate_uri = %s\nservice_token_roles = service\nservice_token_roles_required = true\ntoken_cache_time = %s\nservice_type = %s\n' "$keystone" "$token_cache" "$2"
}
token_cache=2 # seconds that the middleware believes a token for

answers() { # URL SECONDS NAME
    local end=$((SECONDS + $2)) code
    while [ $SECONDS -lt $end ]; do
        code=$(curl -s -o /dev/null -m 5 -w '%{http_code}' "$1" || true)
        case $code in 2*|300|401) return 0 ;; esac
        sleep 0.3
    done
    echo "$3 does not answer at $1 (last: $code)"; tail -n 30 "$work/$3.log"
    return 1
}

start_glance() {
    glance_port=$(free_port)
    mkdir -p "$work/glance/images"
    {
        printf '[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = %s\nworkers = 0\nenabled_backends = file:file\nuse_stderr = true\n' "$glance_port"
        printf 'enabled_import_methods = [glance-direct]\nnode_staging_uri = file://%s/glance/staging\n' "$work"
        printf '[database]\n'; database glance
        printf '[glance_store]\ndefault_backend = file\n[file]\nfilesystem_store_datadir = %s/glance/images\n' "$work"
        printf '[os_glance_staging_store]\nfilesystem_store_datadir = %s/glance/staging\n[os_glance_tasks_store]\nfilesystem_store_datadir = %s/glance/tasks\n' "$work" "$work"
        printf '[paste_deploy]\nflavor = keystone\n'
        middleware glance image
    } > "$work/glance-api.conf"
    mkdir -p "$work/glance/staging" "$work/glance/tasks"
    glance-manage --config-file "$work/glance-api.conf" db_sync >"$work/glance-sync.log" 2>&1
    up glance-api glance-api --config-file "$work/glance-api.conf"
    answers "http://127.0.0.1:$glance_port/" 60 glance-api
}

# start_cinder: the NFS driver on a folder that is bound where the share would be mounted, for a kernel need not know NFS
start_cinder() { # CINDER-USER IMAGE-URL
    cinder_port=$(free_port)
    share=127.0.0.1:/swap mounts=$work/cinder/mnt
    volumes=$mounts/$(printf %s "$share" | md5sum | cut -d' ' -f1)
    mkdir -p "$work/cinder/lock" "$work/cinder/files" "$volumes" "$work/bin"
    mount --bind "$work/cinder/files" "$volumes"
    echo "$share" > "$work/cinder/shares"
    printf '#!/bin/sh\nexit 0\n' > "$work/bin/mount.nfs"; chmod +x "$work/bin/mount.nfs" # it is looked for, and not called
    {
        printf '[DEFAULT]\ntransport_url = rabbit://openstack:%s@127.0.0.1:5672/swap\nstate_path = %s/cinder\nuse_stderr = true\n' "$PEER_PASS" "$work"
        printf 'osapi_volume_listen = 127.0.0.1\nosapi_volume_listen_port = %s\nosapi_volume_workers = 1\n' "$cinder_port"
        printf 'auth_strategy = keystone\nenabled_backends = nfs\ndefault_volume_type = nfs\nglance_api_servers = %s\nmy_ip = 127.0.0.1\n' "$2"
        printf 'api_paste_config = /etc/cinder/api-paste.ini\nrootwrap_config = /etc/cinder/rootwrap.conf\n'
        printf '[nfs]\nvolume_driver = cinder.volume.drivers.nfs.NfsDriver\nvolume_backend_name = nfs\nnfs_shares_config = %s/cinder/shares\n' "$work"
        printf 'nfs_mount_point_base = %s\nnfs_sparsed_volumes = true\nnas_secure_file_operations = false\nnas_secure_file_permissions = false\n' "$mounts"
        printf '[oslo_concurrency]\nlock_path = %s/cinder/lock\n[database]\n' "$work"; database cinder
        who service_user "$1"; printf 'send_service_user_token = true\n'
        who nova "$1"
        middleware "$1" block-storage
    } > "$work/cinder.conf"
    cinder-manage --config-file "$work/cinder.conf" db sync >"$work/cinder-sync.log" 2>&1 || { tail -n 20 "$work/cinder-sync.log"; return 1; }
    up cinder-api cinder-api --config-file "$work/cinder.conf"
    up cinder-scheduler cinder-scheduler --config-file "$work/cinder.conf"
    up cinder-volume env PATH="$work/bin:$PATH" cinder-volume --config-file "$work/cinder.conf"
    answers "http://127.0.0.1:$cinder_port/" 120 cinder-api
}

# start_nova: API, scheduler, conductor and two computes with upstream's fake driver, on our Placement, Neutron and Glance
start_nova() { # IMAGE-URL
    mkdir -p "$work/nova/lock"
    {
        printf '[DEFAULT]\ntransport_url = rabbit://openstack:%s@127.0.0.1:5672/swap\nstate_path = %s/nova\n' "$PEER_PASS" "$work"
        printf 'osapi_compute_listen = 127.0.0.1\nosapi_compute_listen_port = %s\nosapi_compute_workers = 1\nenabled_apis = osapi_compute\nuse_stderr = true\n' "$nova_port"
        printf 'compute_driver = fake.FakeDriver\n'
        printf '[oslo_concurrency]\nlock_path = %s/nova/lock\n[conductor]\nworkers = 1\n[scheduler]\nworkers = 1\n' "$work"
        printf '[api_database]\n'; database nova_api
        printf '[database]\n'; database nova_cell0
        printf '[api]\nauth_strategy = keystone\n[glance]\napi_servers = %s\n' "$1"
        printf '[vnc]\nenabled = false\n'
        who placement nova; who neutron nova
        who service_user nova; printf 'send_service_user_token = true\n'
        middleware nova compute
    } > "$work/nova.conf"
    sed "s,/swap_nova_cell0,/swap_nova_cell1," "$work/nova.conf" > "$work/nova-cell1.conf"
    local manage=(nova-manage --config-file "$work/nova.conf")
    {
        "${manage[@]}" api_db sync
        "${manage[@]}" cell_v2 map_cell0 --database_connection "$DBURL/swap_nova_cell0?charset=utf8mb4"
        "${manage[@]}" cell_v2 create_cell --name cell1 --database_connection "$DBURL/swap_nova_cell1?charset=utf8mb4" \
            --transport-url "rabbit://openstack:$PEER_PASS@127.0.0.1:5672/swap"
        "${manage[@]}" db sync
        nova-manage --config-file "$work/nova-cell1.conf" db sync --local_cell
    } >"$work/nova-sync.log" 2>&1 || { tail -n 20 "$work/nova-sync.log"; return 1; }
    up nova-api nova-api --config-file "$work/nova.conf"
    up nova-scheduler nova-scheduler --config-file "$work/nova.conf"
    up nova-conductor nova-conductor --config-file "$work/nova-cell1.conf"
    local h
    sed '/^\[\(api_\)\?database\]/,+1d' "$work/nova-cell1.conf" > "$work/nova-compute.conf" # which may not reach one
    for h in 1 2; do
        printf '[DEFAULT]\nhost = theirs-%s\nmy_ip = 127.0.0.1\n' "$h" > "$work/host$h.conf"
        up "nova-compute-$h" nova-compute --config-file "$work/nova-compute.conf" --config-file "$work/host$h.conf"
    done
    answers "http://127.0.0.1:$nova_port/" 120 nova-api
    for h in $(seq 60); do
        "${manage[@]}" cell_v2 discover_hosts >/dev/null 2>&1
        [ "$("${manage[@]}" cell_v2 list_hosts 2>/dev/null | grep -c theirs-)" = 2 ] && return
        sleep 1
    done
    echo "nova-compute did not come up:"; tail -n 20 "$work"/nova-compute-1.log
    return 1
}
