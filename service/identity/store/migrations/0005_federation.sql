-- What a domain's identity provider calls itself is unique among all of them.
CREATE TABLE IF NOT EXISTS identity_providers (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    domain_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    enabled BOOLEAN NOT NULL,
    description @text@,
    authorization_ttl BIGINT);
CREATE INDEX IF NOT EXISTS identity_providers_domain ON identity_providers (domain_id);
CREATE TABLE IF NOT EXISTS remote_ids (
    remote_id VARCHAR(255) NOT NULL PRIMARY KEY,
    idp_id VARCHAR(64) NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS remote_ids_idp ON remote_ids (idp_id);

-- rules is JSON.
CREATE TABLE IF NOT EXISTS mappings (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    schema_version VARCHAR(8) NOT NULL,
    rules @text@ NOT NULL);
CREATE TABLE IF NOT EXISTS federation_protocols (
    id VARCHAR(64) NOT NULL,
    idp_id VARCHAR(64) NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    mapping_id VARCHAR(64) NOT NULL,
    remote_id_attribute VARCHAR(64) NOT NULL,
    PRIMARY KEY (idp_id, id));

CREATE TABLE IF NOT EXISTS service_providers (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    auth_url VARCHAR(256) NOT NULL,
    sp_url VARCHAR(256) NOT NULL,
    description @text@,
    enabled BOOLEAN NOT NULL,
    relay_state_prefix VARCHAR(256) NOT NULL);

-- Who a user is to a provider. The user itself stands in users, without a password.
CREATE TABLE IF NOT EXISTS federated_users (
    user_id VARCHAR(64) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    idp_id VARCHAR(64) NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    protocol_id VARCHAR(64) NOT NULL,
    unique_id VARCHAR(255) NOT NULL,
    display_name VARCHAR(255) NOT NULL,
    PRIMARY KEY (idp_id, protocol_id, unique_id));
CREATE INDEX IF NOT EXISTS federated_users_user ON federated_users (user_id);

-- Memberships that a log-in by federation gave, for a while.
CREATE TABLE IF NOT EXISTS federated_memberships (
    user_id VARCHAR(64) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id VARCHAR(64) NOT NULL REFERENCES user_groups (id) ON DELETE CASCADE,
    idp_id VARCHAR(64) NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, group_id, idp_id));
CREATE INDEX IF NOT EXISTS federated_memberships_expires ON federated_memberships (expires_at);

-- OAuth 1.
CREATE TABLE IF NOT EXISTS consumers (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    description @text@,
    secret VARCHAR(64) NOT NULL,
    extra @text@ NOT NULL);
CREATE TABLE IF NOT EXISTS request_tokens (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    secret VARCHAR(64) NOT NULL,
    verifier VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    project_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    consumer_id VARCHAR(64) NOT NULL REFERENCES consumers (id) ON DELETE CASCADE,
    role_ids @text@ NOT NULL,
    expires_at BIGINT);
CREATE INDEX IF NOT EXISTS request_tokens_expires ON request_tokens (expires_at);
CREATE TABLE IF NOT EXISTS access_tokens (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    secret VARCHAR(64) NOT NULL,
    user_id VARCHAR(64) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    consumer_id VARCHAR(64) NOT NULL REFERENCES consumers (id) ON DELETE CASCADE,
    role_ids @text@ NOT NULL,
    expires_at BIGINT);
CREATE INDEX IF NOT EXISTS access_tokens_user ON access_tokens (user_id);

-- How often something has changed that tokens depend on: who knows tokens by
-- heart looks here.
CREATE TABLE IF NOT EXISTS changes (
    id VARCHAR(8) NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL);
INSERT INTO changes (id, number) SELECT 'tokens', 1 FROM (SELECT 1 AS one) AS row_of_one WHERE NOT EXISTS (SELECT 1 FROM changes WHERE id = 'tokens');
