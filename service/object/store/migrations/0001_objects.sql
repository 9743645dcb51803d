CREATE TABLE IF NOT EXISTS accounts (
    name VARCHAR(256) NOT NULL PRIMARY KEY,
    headers @text@ NOT NULL,
    created_at BIGINT NOT NULL);

-- objects and bytes count the rows of the table objects.
CREATE TABLE IF NOT EXISTS containers (
    id VARCHAR(32) NOT NULL PRIMARY KEY,
    account VARCHAR(256) NOT NULL,
    name VARCHAR(256) NOT NULL,
    headers @text@ NOT NULL,
    objects BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS containers_name ON containers (account, name);

-- name_key is the name's SHA-256: names are longer than MariaDB's keys may be.
CREATE TABLE IF NOT EXISTS objects (
    container_id VARCHAR(32) NOT NULL,
    name_key VARCHAR(43) NOT NULL,
    name VARCHAR(1024) NOT NULL,
    payload VARCHAR(64) NOT NULL,
    size BIGINT NOT NULL,
    etag VARCHAR(32) NOT NULL,
    content_type @text@ NOT NULL,
    headers @text@ NOT NULL,
    large_size BIGINT,
    large_etag VARCHAR(32) NOT NULL,
    created_at BIGINT NOT NULL,
    delete_at BIGINT,
    PRIMARY KEY (container_id, name_key));
CREATE INDEX IF NOT EXISTS objects_name ON objects (container_id, name@head@);
CREATE INDEX IF NOT EXISTS objects_payload ON objects (payload);
CREATE INDEX IF NOT EXISTS objects_expiry ON objects (delete_at);

-- Payloads that devices have or may have. With due they are nobody's from then on:
-- somebody is writing them until then, or no object refers to them any more.
CREATE TABLE IF NOT EXISTS payloads (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    md5 VARCHAR(32) NOT NULL,
    writer VARCHAR(64) NOT NULL,
    due BIGINT);
CREATE INDEX IF NOT EXISTS payloads_due ON payloads (due);
CREATE INDEX IF NOT EXISTS payloads_writer ON payloads (writer);
