-- Why servers came where they are, or nowhere: one row a decision, of bounded
-- size (control/explain.go) and age.
CREATE TABLE IF NOT EXISTS placements (
    seq @serial@,
    server_id VARCHAR(36) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    host VARCHAR(255) NOT NULL,
    driver VARCHAR(16) NOT NULL,
    decided_at BIGINT NOT NULL,
    took_us BIGINT NOT NULL,
    together BIGINT NOT NULL,
    refusal @text@ NOT NULL,
    record @text@ NOT NULL);
CREATE INDEX IF NOT EXISTS placements_server ON placements (server_id, seq);
CREATE INDEX IF NOT EXISTS placements_age ON placements (decided_at);
