CREATE TABLE IF NOT EXISTS flavors (
    seq @serial@,
    id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description @text@,
    vcpus BIGINT NOT NULL,
    memory_mb BIGINT NOT NULL,
    root_gb BIGINT NOT NULL,
    ephemeral_gb BIGINT NOT NULL,
    swap_mb BIGINT NOT NULL,
    rxtx_factor @double@ NOT NULL,
    is_public BOOLEAN NOT NULL,
    extra_specs @text@ NOT NULL,
    created_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS flavors_id ON flavors (id);
CREATE UNIQUE INDEX IF NOT EXISTS flavors_name ON flavors (name);

CREATE TABLE IF NOT EXISTS flavor_projects (
    flavor_id VARCHAR(255) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (flavor_id, project_id));

CREATE TABLE IF NOT EXISTS keypairs (
    seq @serial@,
    user_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    type VARCHAR(8) NOT NULL,
    public_key @text@ NOT NULL,
    fingerprint VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS keypairs_name ON keypairs (user_id, name);

CREATE TABLE IF NOT EXISTS quotas (
    project_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    resource VARCHAR(64) NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id, resource));

-- One row a project, touched by whoever is about to use more of its quota: on
-- databases with several writers that puts them in a line.
CREATE TABLE IF NOT EXISTS quota_turns (
    project_id VARCHAR(255) NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL);
