-- How many builds have failed on a host since the last one that succeeded.
CREATE TABLE IF NOT EXISTS build_failures (
    host VARCHAR(255) NOT NULL PRIMARY KEY,
    failed BIGINT NOT NULL);
