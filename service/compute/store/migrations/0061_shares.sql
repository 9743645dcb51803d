-- Shared file systems that servers have. A server has a share once, and a tag once.
CREATE TABLE IF NOT EXISTS server_shares (
    seq @serial@,
    id VARCHAR(36) NOT NULL,
    server_id VARCHAR(36) NOT NULL,
    share_id VARCHAR(36) NOT NULL,
    tag VARCHAR(255) NOT NULL,
    protocol VARCHAR(16) NOT NULL,
    export_location @text@ NOT NULL,
    status VARCHAR(16) NOT NULL,
    created_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS server_shares_share ON server_shares (server_id, share_id);
CREATE UNIQUE INDEX IF NOT EXISTS server_shares_tag ON server_shares (server_id, tag);
CREATE INDEX IF NOT EXISTS server_shares_users ON server_shares (share_id);
