-- The text of content is encrypted with the credential keys.
CREATE TABLE IF NOT EXISTS credentials (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    type VARCHAR(255) NOT NULL,
    content @text@ NOT NULL,
    extra @text@ NOT NULL);
CREATE INDEX IF NOT EXISTS credentials_user ON credentials (user_id, type);
CREATE INDEX IF NOT EXISTS credentials_project ON credentials (project_id);

CREATE TABLE IF NOT EXISTS app_credentials (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id VARCHAR(64) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    description @text@,
    unrestricted BOOLEAN NOT NULL,
    expires_at BIGINT,
    secret_hash VARCHAR(255) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS app_credentials_name ON app_credentials (user_id, name);
CREATE INDEX IF NOT EXISTS app_credentials_project ON app_credentials (project_id);
CREATE TABLE IF NOT EXISTS app_credential_roles (
    app_credential_id VARCHAR(64) NOT NULL REFERENCES app_credentials (id) ON DELETE CASCADE,
    role_id VARCHAR(64) NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (app_credential_id, role_id));
CREATE TABLE IF NOT EXISTS access_rules (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id VARCHAR(64) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    service VARCHAR(64) NOT NULL,
    path VARCHAR(128) NOT NULL,
    method VARCHAR(16) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS access_rules_what ON access_rules (user_id, service, path, method);
CREATE TABLE IF NOT EXISTS app_credential_rules (
    app_credential_id VARCHAR(64) NOT NULL REFERENCES app_credentials (id) ON DELETE CASCADE,
    rule_id VARCHAR(64) NOT NULL REFERENCES access_rules (id),
    PRIMARY KEY (app_credential_id, rule_id));

-- Those that were redelegated from a trust end with it.
CREATE TABLE IF NOT EXISTS trusts (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    trustor_id VARCHAR(64) NOT NULL,
    trustee_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    impersonation BOOLEAN NOT NULL,
    remaining_uses BIGINT,
    redelegated_from VARCHAR(64) NOT NULL,
    redelegation_count BIGINT NOT NULL,
    allow_redelegation BOOLEAN NOT NULL,
    extra @text@ NOT NULL,
    expires_at BIGINT);
CREATE INDEX IF NOT EXISTS trusts_trustor ON trusts (trustor_id);
CREATE INDEX IF NOT EXISTS trusts_trustee ON trusts (trustee_id);
CREATE INDEX IF NOT EXISTS trusts_project ON trusts (project_id);
CREATE INDEX IF NOT EXISTS trusts_redelegated ON trusts (redelegated_from);
CREATE TABLE IF NOT EXISTS trust_roles (
    trust_id VARCHAR(64) NOT NULL REFERENCES trusts (id) ON DELETE CASCADE,
    role_id VARCHAR(64) NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (trust_id, role_id));

-- Tokens of a subject that were issued at or before issued_before are no longer
-- valid. kind is audit (one token), user, project, domain, trust or app_cred. A row is of no use after expires_at.
CREATE TABLE IF NOT EXISTS revocations (
    subject VARCHAR(64) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    issued_before BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (subject, kind));
CREATE INDEX IF NOT EXISTS revocations_expires ON revocations (expires_at);

