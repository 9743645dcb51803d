-- Servers. JSON columns hold what is only ever read and written as a whole.
CREATE TABLE IF NOT EXISTS servers (
    seq @serial@,
    id VARCHAR(36) NOT NULL,
    display_name VARCHAR(255) NOT NULL,
    description @text@,
    hostname VARCHAR(255) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    vm_state VARCHAR(32) NOT NULL,
    task_state VARCHAR(32) NOT NULL,
    power_state BIGINT NOT NULL,
    flavor @text@ NOT NULL,
    flavor_id VARCHAR(255) NOT NULL,
    vcpus BIGINT NOT NULL,
    memory_mb BIGINT NOT NULL,
    image_id VARCHAR(36) NOT NULL,
    image_meta @text@ NOT NULL,
    key_name VARCHAR(255) NOT NULL,
    key_data @text@ NOT NULL,
    user_data @text@ NOT NULL,
    admin_pass VARCHAR(255) NOT NULL,
    metadata @text@ NOT NULL,
    tags @text@ NOT NULL,
    config_drive BOOLEAN NOT NULL,
    disk_config VARCHAR(16) NOT NULL,
    access_ip_v4 VARCHAR(39) NOT NULL,
    access_ip_v6 VARCHAR(39) NOT NULL,
    locked BOOLEAN NOT NULL,
    locked_reason VARCHAR(255) NOT NULL,
    availability_zone VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    node VARCHAR(255) NOT NULL,
    reservation_id VARCHAR(64) NOT NULL,
    launch_index BIGINT NOT NULL,
    root_device VARCHAR(64) NOT NULL,
    progress BIGINT NOT NULL,
    wanted_networks @text@ NOT NULL,
    security_groups @text@ NOT NULL,
    hints @text@ NOT NULL,
    networks @text@ NOT NULL,
    fault @text@ NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    launched_at BIGINT,
    terminated_at BIGINT,
    deleted_at BIGINT);
CREATE UNIQUE INDEX IF NOT EXISTS servers_id ON servers (id);
CREATE INDEX IF NOT EXISTS servers_project ON servers (project_id, deleted_at, created_at, id);
CREATE INDEX IF NOT EXISTS servers_created ON servers (deleted_at, created_at, id);
CREATE INDEX IF NOT EXISTS servers_host ON servers (host, deleted_at);

CREATE TABLE IF NOT EXISTS actions (
    seq @serial@,
    request_id VARCHAR(64) NOT NULL,
    server_id VARCHAR(36) NOT NULL,
    action VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    message VARCHAR(255));
CREATE INDEX IF NOT EXISTS actions_server ON actions (server_id, request_id);

CREATE TABLE IF NOT EXISTS action_events (
    seq @serial@,
    action_seq BIGINT NOT NULL,
    name VARCHAR(64) NOT NULL,
    host VARCHAR(255) NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    result VARCHAR(16),
    traceback @text@,
    details @text@);
CREATE INDEX IF NOT EXISTS action_events_action ON action_events (action_seq);
