-- Every id that an image ever had: none is given twice, not even after its
-- image was deleted, since others may still trust it.
CREATE TABLE IF NOT EXISTS image_ids (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL);

CREATE TABLE IF NOT EXISTS images (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255),
    owner VARCHAR(255) NOT NULL,
    status VARCHAR(30) NOT NULL,
    visibility VARCHAR(16) NOT NULL,
    protected BOOLEAN NOT NULL,
    os_hidden BOOLEAN NOT NULL,
    disk_format VARCHAR(20) NOT NULL,
    container_format VARCHAR(20) NOT NULL,
    size BIGINT,
    virtual_size BIGINT,
    min_disk BIGINT NOT NULL,
    min_ram BIGINT NOT NULL,
    checksum VARCHAR(32) NOT NULL,
    os_hash_algo VARCHAR(64) NOT NULL,
    os_hash_value VARCHAR(128) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS images_created ON images (created_at, id);
CREATE INDEX IF NOT EXISTS images_owner ON images (owner, created_at, id);
CREATE INDEX IF NOT EXISTS images_name ON images (name);

CREATE TABLE IF NOT EXISTS image_properties (
    image_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    value @text@ NOT NULL,
    PRIMARY KEY (image_id, name));

CREATE TABLE IF NOT EXISTS image_tags (
    image_id VARCHAR(36) NOT NULL,
    value VARCHAR(255) NOT NULL,
    PRIMARY KEY (image_id, value));

CREATE TABLE IF NOT EXISTS image_members (
    image_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    status VARCHAR(20) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, project_id));
CREATE INDEX IF NOT EXISTS image_members_project ON image_members (project_id, status);

-- Where an image's bytes lie. store and blob_key are '' for foreign URLs.
CREATE TABLE IF NOT EXISTS image_locations (
    seq @serial@,
    image_id VARCHAR(36) NOT NULL,
    store VARCHAR(64) NOT NULL,
    blob_key VARCHAR(200) NOT NULL,
    url @text@ NOT NULL,
    metadata @text@);
CREATE INDEX IF NOT EXISTS image_locations_image ON image_locations (image_id);
CREATE INDEX IF NOT EXISTS image_locations_blob ON image_locations (blob_key);

-- Blobs that somebody is writing, or that are staged for an import. After the
-- lease they are nobody's, and are taken away with what they were to become.
CREATE TABLE IF NOT EXISTS uploads (
    blob_key VARCHAR(200) NOT NULL PRIMARY KEY,
    store VARCHAR(64) NOT NULL,
    image_id VARCHAR(36) NOT NULL,
    lease_owner VARCHAR(64) NOT NULL,
    lease_until BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS uploads_image ON uploads (image_id);
CREATE INDEX IF NOT EXISTS uploads_lease ON uploads (lease_until);

-- Tasks as the API shows them; the work itself is in the table tasks.
CREATE TABLE IF NOT EXISTS api_tasks (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    type VARCHAR(30) NOT NULL,
    status VARCHAR(30) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    image_id VARCHAR(36) NOT NULL,
    input @text@,
    result @text@,
    message @text@,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT);
CREATE INDEX IF NOT EXISTS api_tasks_image ON api_tasks (image_id, created_at);
CREATE INDEX IF NOT EXISTS api_tasks_created ON api_tasks (created_at, id);
CREATE INDEX IF NOT EXISTS api_tasks_expires ON api_tasks (expires_at);
