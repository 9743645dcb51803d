-- The network service. Texts that may be absent are '' and never NULL, so that
-- they sort and page; lists that are only ever read whole are JSON.

CREATE TABLE IF NOT EXISTS networks (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    admin_up BOOLEAN NOT NULL,
    status VARCHAR(16) NOT NULL,
    mtu BIGINT NOT NULL,
    port_security BOOLEAN NOT NULL,
    zone_hints @text@ NOT NULL,
    dns_domain VARCHAR(255) NOT NULL,
    type VARCHAR(32) NOT NULL,
    physical VARCHAR(64) NOT NULL,
    segmentation BIGINT NOT NULL,
    segment VARCHAR(128));
CREATE INDEX IF NOT EXISTS networks_project ON networks (project_id);
-- segment names what only one network may have, e.g. "flat:public"; NULL otherwise.
CREATE UNIQUE INDEX IF NOT EXISTS networks_segment ON networks (segment);

CREATE TABLE IF NOT EXISTS rbac_policies (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    object_type VARCHAR(32) NOT NULL,
    object_id VARCHAR(36) NOT NULL,
    action VARCHAR(32) NOT NULL,
    target VARCHAR(255) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS rbac_what ON rbac_policies (object_id, action, target);
CREATE INDEX IF NOT EXISTS rbac_target ON rbac_policies (target);

CREATE TABLE IF NOT EXISTS subnets (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    network_id VARCHAR(36) NOT NULL,
    ip_version BIGINT NOT NULL,
    cidr VARCHAR(64) NOT NULL,
    gateway_ip VARCHAR(64) NOT NULL,
    enable_dhcp BOOLEAN NOT NULL,
    pools @text@ NOT NULL,
    dns @text@ NOT NULL,
    routes @text@ NOT NULL,
    ra_mode VARCHAR(16) NOT NULL,
    address_mode VARCHAR(16) NOT NULL,
    service_types @text@ NOT NULL,
    FOREIGN KEY (network_id) REFERENCES networks (id));
CREATE INDEX IF NOT EXISTS subnets_network ON subnets (network_id);
CREATE INDEX IF NOT EXISTS subnets_project ON subnets (project_id);

-- Where the search for a free address of a subnet goes on. Its row is also the
-- lock under which addresses of the subnet are chosen.
CREATE TABLE IF NOT EXISTS cursors (
    subnet_id VARCHAR(36) NOT NULL PRIMARY KEY,
    next_key VARCHAR(32) NOT NULL);

CREATE TABLE IF NOT EXISTS ports (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    network_id VARCHAR(36) NOT NULL,
    mac VARCHAR(17) NOT NULL,
    admin_up BOOLEAN NOT NULL,
    status VARCHAR(16) NOT NULL,
    device_id VARCHAR(255) NOT NULL,
    device_owner VARCHAR(255) NOT NULL,
    pairs @text@ NOT NULL,
    dhcp_options @text@ NOT NULL,
    port_security BOOLEAN NOT NULL,
    dns_name VARCHAR(255) NOT NULL,
    vnic_type VARCHAR(64) NOT NULL,
    host VARCHAR(255) NOT NULL,
    vif_type VARCHAR(64) NOT NULL,
    profile @text@ NOT NULL,
    FOREIGN KEY (network_id) REFERENCES networks (id));
CREATE UNIQUE INDEX IF NOT EXISTS ports_mac ON ports (network_id, mac);
CREATE INDEX IF NOT EXISTS ports_project ON ports (project_id);
CREATE INDEX IF NOT EXISTS ports_device ON ports (device_id);
CREATE INDEX IF NOT EXISTS ports_host ON ports (host);

-- addr_key is the address in 32 hexadecimal digits: it sorts as addresses do.
-- The primary key is what makes giving out addresses exact.
CREATE TABLE IF NOT EXISTS fixed_ips (
    subnet_id VARCHAR(36) NOT NULL,
    addr_key VARCHAR(32) NOT NULL,
    port_id VARCHAR(36) NOT NULL,
    network_id VARCHAR(36) NOT NULL,
    ip VARCHAR(64) NOT NULL,
    place BIGINT NOT NULL,
    PRIMARY KEY (subnet_id, addr_key),
    FOREIGN KEY (subnet_id) REFERENCES subnets (id),
    FOREIGN KEY (port_id) REFERENCES ports (id));
CREATE INDEX IF NOT EXISTS fixed_ips_port ON fixed_ips (port_id);
CREATE INDEX IF NOT EXISTS fixed_ips_ip ON fixed_ips (ip);

CREATE TABLE IF NOT EXISTS security_groups (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    stateful BOOLEAN NOT NULL,
    default_of VARCHAR(255));
-- default_of is the project whose default group it is; NULL for all others.
CREATE UNIQUE INDEX IF NOT EXISTS security_groups_default ON security_groups (default_of);
CREATE INDEX IF NOT EXISTS security_groups_project ON security_groups (project_id);

CREATE TABLE IF NOT EXISTS security_group_rules (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    group_id VARCHAR(36) NOT NULL,
    direction VARCHAR(16) NOT NULL,
    ethertype VARCHAR(8) NOT NULL,
    protocol VARCHAR(16) NOT NULL,
    port_min BIGINT,
    port_max BIGINT,
    remote_prefix VARCHAR(64) NOT NULL,
    remote_group VARCHAR(36) NOT NULL,
    FOREIGN KEY (group_id) REFERENCES security_groups (id));
CREATE INDEX IF NOT EXISTS rules_group ON security_group_rules (group_id);
CREATE INDEX IF NOT EXISTS rules_remote ON security_group_rules (remote_group);
CREATE INDEX IF NOT EXISTS rules_project ON security_group_rules (project_id);

CREATE TABLE IF NOT EXISTS port_groups (
    port_id VARCHAR(36) NOT NULL,
    group_id VARCHAR(36) NOT NULL,
    PRIMARY KEY (port_id, group_id),
    FOREIGN KEY (port_id) REFERENCES ports (id),
    FOREIGN KEY (group_id) REFERENCES security_groups (id));
CREATE INDEX IF NOT EXISTS port_groups_group ON port_groups (group_id);

CREATE TABLE IF NOT EXISTS routers (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    admin_up BOOLEAN NOT NULL,
    status VARCHAR(16) NOT NULL,
    gateway_network VARCHAR(36) NOT NULL,
    gateway_port VARCHAR(36) NOT NULL,
    enable_snat BOOLEAN NOT NULL,
    routes @text@ NOT NULL,
    zone_hints @text@ NOT NULL,
    host VARCHAR(255) NOT NULL);
CREATE INDEX IF NOT EXISTS routers_project ON routers (project_id);
CREATE INDEX IF NOT EXISTS routers_host ON routers (host);
CREATE INDEX IF NOT EXISTS routers_gateway ON routers (gateway_network);

CREATE TABLE IF NOT EXISTS floating_ips (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    network_id VARCHAR(36) NOT NULL,
    floating_ip VARCHAR(64) NOT NULL,
    floating_port VARCHAR(36) NOT NULL,
    port_id VARCHAR(36),
    fixed_ip VARCHAR(64),
    router_id VARCHAR(36) NOT NULL,
    status VARCHAR(16) NOT NULL,
    dns_name VARCHAR(255) NOT NULL,
    dns_domain VARCHAR(255) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS floating_ips_fixed ON floating_ips (port_id, fixed_ip, network_id);
CREATE INDEX IF NOT EXISTS floating_ips_project ON floating_ips (project_id);
CREATE INDEX IF NOT EXISTS floating_ips_router ON floating_ips (router_id);

CREATE TABLE IF NOT EXISTS tags (
    resource_id VARCHAR(36) NOT NULL,
    tag VARCHAR(255) NOT NULL,
    PRIMARY KEY (resource_id, tag));
CREATE INDEX IF NOT EXISTS tags_tag ON tags (tag);

CREATE TABLE IF NOT EXISTS agents (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    type VARCHAR(64) NOT NULL,
    host VARCHAR(255) NOT NULL,
    zone VARCHAR(255) NOT NULL,
    admin_up BOOLEAN NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    heartbeat BIGINT NOT NULL,
    physical @text@ NOT NULL,
    counts @text@ NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS agents_what ON agents (host, type);

CREATE TABLE IF NOT EXISTS dhcp_bindings (
    network_id VARCHAR(36) NOT NULL PRIMARY KEY,
    host VARCHAR(255) NOT NULL,
    port_id VARCHAR(36) NOT NULL);
CREATE INDEX IF NOT EXISTS dhcp_bindings_host ON dhcp_bindings (host);

-- A number for each host that grows with every change of what it has to carry.
CREATE TABLE IF NOT EXISTS revisions (
    host VARCHAR(190) NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL);

CREATE TABLE IF NOT EXISTS quotas (
    project_id VARCHAR(190) NOT NULL,
    resource VARCHAR(64) NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource));

-- The lock under which a project's resources are counted and made.
CREATE TABLE IF NOT EXISTS quota_locks (
    project_id VARCHAR(190) NOT NULL PRIMARY KEY,
    turns BIGINT NOT NULL);
