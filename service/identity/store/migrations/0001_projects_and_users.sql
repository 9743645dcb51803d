-- A domain is a project with is_domain: its domain_id and parent_id are ''.
-- path joins the ids from the domain down to the project with '/'.
CREATE TABLE IF NOT EXISTS projects (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    domain_id VARCHAR(64) NOT NULL,
    parent_id VARCHAR(64) NOT NULL,
    path VARCHAR(512) NOT NULL,
    name VARCHAR(64) NOT NULL,
    description @text@ NOT NULL,
    enabled BOOLEAN NOT NULL,
    is_domain BOOLEAN NOT NULL,
    options @text@ NOT NULL,
    extra @text@ NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS projects_name ON projects (domain_id, name);
CREATE INDEX IF NOT EXISTS projects_path ON projects (path);
CREATE INDEX IF NOT EXISTS projects_by_name ON projects (name, id);

CREATE TABLE IF NOT EXISTS project_tags (
    project_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (project_id, name));
CREATE INDEX IF NOT EXISTS project_tags_name ON project_tags (name);

-- password_hash is '' for users without a password.
CREATE TABLE IF NOT EXISTS users (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    domain_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    enabled BOOLEAN NOT NULL,
    default_project_id VARCHAR(64) NOT NULL,
    options @text@ NOT NULL,
    extra @text@ NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    password_at BIGINT,
    password_expires_at BIGINT,
    failures BIGINT NOT NULL,
    failed_at BIGINT,
    active_at BIGINT,
    created_at BIGINT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS users_name ON users (domain_id, name);
CREATE INDEX IF NOT EXISTS users_by_name ON users (name, id);
CREATE INDEX IF NOT EXISTS users_default_project ON users (default_project_id);

-- Former passwords, for as many as must not be used again.
CREATE TABLE IF NOT EXISTS former_passwords (
    seq @serial@,
    user_id VARCHAR(64) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    password_hash VARCHAR(255) NOT NULL);
CREATE INDEX IF NOT EXISTS former_passwords_user ON former_passwords (user_id, seq);

CREATE TABLE IF NOT EXISTS user_groups (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    domain_id VARCHAR(64) NOT NULL,
    name VARCHAR(64) NOT NULL,
    description @text@ NOT NULL,
    extra @text@ NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS user_groups_name ON user_groups (domain_id, name);

CREATE TABLE IF NOT EXISTS memberships (
    user_id VARCHAR(64) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id VARCHAR(64) NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id));
CREATE INDEX IF NOT EXISTS memberships_group ON memberships (group_id, user_id);

-- What is configured for one domain alone. value is JSON.
CREATE TABLE IF NOT EXISTS domain_configs (
    domain_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    section VARCHAR(64) NOT NULL,
    name VARCHAR(64) NOT NULL,
    value @text@ NOT NULL,
    PRIMARY KEY (domain_id, section, name));
