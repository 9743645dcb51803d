-- Moves of servers, for their history and for what is under way.
CREATE TABLE IF NOT EXISTS migrations (
    seq @serial@,
    id VARCHAR(36) NOT NULL,
    server_id VARCHAR(36) NOT NULL,
    type VARCHAR(16) NOT NULL,
    status VARCHAR(32) NOT NULL,
    was_state VARCHAR(32) NOT NULL,
    source_host VARCHAR(255) NOT NULL,
    source_node VARCHAR(255) NOT NULL,
    dest_host VARCHAR(255) NOT NULL,
    dest_node VARCHAR(255) NOT NULL,
    dest_ip VARCHAR(64) NOT NULL,
    old_flavor @text@ NOT NULL,
    new_flavor @text@ NOT NULL,
    wish VARCHAR(16) NOT NULL,
    transfer @text@ NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS migrations_id ON migrations (id);
CREATE INDEX IF NOT EXISTS migrations_server ON migrations (server_id, status);
CREATE INDEX IF NOT EXISTS migrations_source ON migrations (source_host, status);
CREATE INDEX IF NOT EXISTS migrations_created ON migrations (created_at, seq);
