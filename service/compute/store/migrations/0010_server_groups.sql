-- Server groups, and what servers hold of hosts beyond what Placement counts:
-- their seat in a group, processors, memory pages, devices. A row a server and
-- host: while a server moves it holds two.
CREATE TABLE IF NOT EXISTS server_groups (
    seq @serial@,
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    policy VARCHAR(32) NOT NULL,
    max_per_host BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    created_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS server_groups_id ON server_groups (id);
CREATE INDEX IF NOT EXISTS server_groups_project ON server_groups (project_id, seq);

CREATE TABLE IF NOT EXISTS server_group_members (
    seq @serial@,
    group_id VARCHAR(36) NOT NULL,
    server_id VARCHAR(36) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS server_group_members_server ON server_group_members (server_id);
CREATE INDEX IF NOT EXISTS server_group_members_group ON server_group_members (group_id, seq);

CREATE TABLE IF NOT EXISTS host_holds (
    server_id VARCHAR(36) NOT NULL,
    host VARCHAR(255) NOT NULL,
    exclusive BOOLEAN NOT NULL,
    hold @text@ NOT NULL,
    PRIMARY KEY (server_id, host));
CREATE INDEX IF NOT EXISTS host_holds_host ON host_holds (exclusive, host);
