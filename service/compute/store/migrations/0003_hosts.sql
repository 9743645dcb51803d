CREATE TABLE IF NOT EXISTS hosts (
    seq @serial@,
    id VARCHAR(36) NOT NULL,
    binary_name VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    node_id VARCHAR(36) NOT NULL,
    disabled BOOLEAN NOT NULL,
    disabled_reason VARCHAR(255) NOT NULL,
    forced_down BOOLEAN NOT NULL,
    last_seen BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    resources @text@ NOT NULL,
    traits @text@ NOT NULL,
    methods @text@ NOT NULL,
    published @text@ NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS hosts_name ON hosts (binary_name, name);
CREATE UNIQUE INDEX IF NOT EXISTS hosts_id ON hosts (id);

CREATE TABLE IF NOT EXISTS aggregates (
    seq @serial@,
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    hosts @text@ NOT NULL,
    metadata @text@ NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS aggregates_name ON aggregates (name);
