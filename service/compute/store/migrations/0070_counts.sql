-- What the existing servers amount to, by project and user and by host. It is
-- counted in the transactions that change servers, so that nobody who asks has to
-- read them all. Servers that are deleted but can be restored count for their host
-- and not for their project.
CREATE TABLE IF NOT EXISTS project_counts (
    project_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    servers BIGINT NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mb BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id));
CREATE TABLE IF NOT EXISTS host_counts (
    host VARCHAR(255) NOT NULL PRIMARY KEY,
    servers BIGINT NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mb BIGINT NOT NULL);
DELETE FROM project_counts;
DELETE FROM host_counts;
INSERT INTO project_counts (project_id, user_id, servers, vcpus, memory_mb)
    SELECT project_id, user_id, COUNT(*), SUM(vcpus), SUM(memory_mb) FROM servers
    WHERE deleted_at IS NULL AND vm_state <> 'soft-delete' GROUP BY project_id, user_id;
INSERT INTO host_counts (host, servers, vcpus, memory_mb)
    SELECT host, COUNT(*), SUM(vcpus), SUM(memory_mb) FROM servers
    WHERE deleted_at IS NULL AND host <> '' GROUP BY host;

-- Servers with something under way are few among many.
CREATE INDEX IF NOT EXISTS servers_busy ON servers (deleted_at, task_state, host);
-- Servers by state, in the order of lists.
CREATE INDEX IF NOT EXISTS servers_state ON servers (deleted_at, vm_state, created_at, id);
-- What has changed lately, for those who ask again and again.
CREATE INDEX IF NOT EXISTS servers_updated ON servers (updated_at);
CREATE INDEX IF NOT EXISTS servers_project_updated ON servers (project_id, updated_at);
-- Hosts' servers in the order of lists, and projects' with what lists leave out by.
-- MySQL's family reads what it needs beyond the others from the comment.
CREATE INDEX IF NOT EXISTS servers_host_created ON servers (host, deleted_at, created_at, id);
DROP INDEX IF EXISTS servers_host /*! ON servers */;
CREATE INDEX IF NOT EXISTS servers_project_created ON servers (project_id, deleted_at, created_at, id, vm_state);
DROP INDEX IF EXISTS servers_project /*! ON servers */;
-- Moves that are under way, and those of a host.
CREATE INDEX IF NOT EXISTS migrations_status ON migrations (status, updated_at);
CREATE INDEX IF NOT EXISTS migrations_dest ON migrations (dest_host, status);
