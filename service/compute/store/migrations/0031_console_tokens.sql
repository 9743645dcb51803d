-- What opens a console. Tokens themselves are not kept, only their SHA-256.
CREATE TABLE IF NOT EXISTS console_tokens (
    token_hash VARCHAR(64) NOT NULL PRIMARY KEY,
    server_id VARCHAR(36) NOT NULL,
    console_type VARCHAR(32) NOT NULL,
    address @text@ NOT NULL,
    expires_at BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS console_tokens_expires ON console_tokens (expires_at);
CREATE INDEX IF NOT EXISTS console_tokens_server ON console_tokens (server_id);
