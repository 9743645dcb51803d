-- Limits by class: those of the class "default" are every project's for which
-- nothing else was set. And what the usage audit has found, a row a host and period.
CREATE TABLE IF NOT EXISTS quota_classes (
    class VARCHAR(255) NOT NULL,
    resource VARCHAR(64) NOT NULL,
    hard_limit BIGINT NOT NULL,
    PRIMARY KEY (class, resource));

CREATE TABLE IF NOT EXISTS usage_audits (
    host VARCHAR(255) NOT NULL,
    period_begin BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    servers BIGINT NOT NULL,
    message VARCHAR(255) NOT NULL,
    PRIMARY KEY (period_begin, period_end, host));

CREATE INDEX IF NOT EXISTS servers_usage ON servers (project_id, id, launched_at);
