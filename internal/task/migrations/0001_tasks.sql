-- One row a piece of durable work. seq gives the order within a subject.
CREATE TABLE IF NOT EXISTS tasks (
    seq @serial@,
    id VARCHAR(36) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    subject VARCHAR(64) NOT NULL,
    step VARCHAR(64) NOT NULL,
    payload @text@ NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    attempts BIGINT NOT NULL,
    last_error @text@,
    run_at BIGINT NOT NULL,
    lease_owner VARCHAR(64),
    lease_until BIGINT,
    created_at BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS tasks_subject ON tasks (subject, seq);
CREATE INDEX IF NOT EXISTS tasks_run_at ON tasks (run_at);
