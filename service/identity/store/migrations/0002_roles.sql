-- domain_id is '' for a global role.
CREATE TABLE IF NOT EXISTS roles (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    domain_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description @text@,
    options @text@ NOT NULL,
    extra @text@ NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS roles_name ON roles (domain_id, name);

CREATE TABLE IF NOT EXISTS implied_roles (
    prior_id VARCHAR(64) NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    implied_id VARCHAR(64) NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (prior_id, implied_id));

-- target_kind is project, domain or system. An inherited grant counts on the
-- projects below its target only.
CREATE TABLE IF NOT EXISTS grants (
    actor_id VARCHAR(64) NOT NULL,
    target_id VARCHAR(64) NOT NULL,
    target_kind VARCHAR(16) NOT NULL,
    role_id VARCHAR(64) NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    inherited BOOLEAN NOT NULL,
    is_group BOOLEAN NOT NULL,
    PRIMARY KEY (actor_id, target_id, target_kind, role_id, inherited));
CREATE INDEX IF NOT EXISTS grants_target ON grants (target_id);
CREATE INDEX IF NOT EXISTS grants_role ON grants (role_id);
