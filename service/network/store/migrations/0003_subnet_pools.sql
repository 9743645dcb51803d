-- Supplies of prefixes, and which subnet was cut from which.
CREATE TABLE IF NOT EXISTS subnet_pools (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    prefixes @text@ NOT NULL,
    ip_version BIGINT NOT NULL,
    min_prefix BIGINT NOT NULL,
    default_prefix BIGINT NOT NULL,
    max_prefix BIGINT NOT NULL,
    default_quota BIGINT,
    shared BOOLEAN NOT NULL,
    is_default BOOLEAN NOT NULL);
CREATE INDEX IF NOT EXISTS subnet_pools_project ON subnet_pools (project_id);

CREATE TABLE IF NOT EXISTS pool_subnets (
    subnet_id VARCHAR(36) NOT NULL PRIMARY KEY,
    pool_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    cidr VARCHAR(64) NOT NULL,
    FOREIGN KEY (pool_id) REFERENCES subnet_pools (id));
CREATE INDEX IF NOT EXISTS pool_subnets_pool ON pool_subnets (pool_id);
