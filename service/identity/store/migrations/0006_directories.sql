-- Users and groups that a domain's directory has. Their rows in users and
-- user_groups are what was last seen there; id is a hash of the other three.
CREATE TABLE IF NOT EXISTS directory_entries (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    domain_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    kind VARCHAR(8) NOT NULL,
    local_id VARCHAR(255) NOT NULL,
    refreshed_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS directory_entries_what ON directory_entries (domain_id, kind, local_id);
