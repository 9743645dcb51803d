CREATE TABLE IF NOT EXISTS regions (
    id VARCHAR(255) NOT NULL PRIMARY KEY,
    parent_id VARCHAR(255) NOT NULL,
    description @text@ NOT NULL,
    extra @text@ NOT NULL);

CREATE TABLE IF NOT EXISTS services (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    type VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    enabled BOOLEAN NOT NULL,
    extra @text@ NOT NULL);
CREATE INDEX IF NOT EXISTS services_type ON services (type, name);

CREATE TABLE IF NOT EXISTS endpoints (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    service_id VARCHAR(64) NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    region_id VARCHAR(255) NOT NULL,
    interface VARCHAR(16) NOT NULL,
    url VARCHAR(2048) NOT NULL,
    enabled BOOLEAN NOT NULL,
    extra @text@ NOT NULL);
CREATE INDEX IF NOT EXISTS endpoints_service ON endpoints (service_id);
CREATE INDEX IF NOT EXISTS endpoints_region ON endpoints (region_id);

-- Endpoints, one by one or by a group's filters, that only some projects see.
CREATE TABLE IF NOT EXISTS project_endpoints (
    project_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    endpoint_id VARCHAR(64) NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, endpoint_id));
CREATE INDEX IF NOT EXISTS project_endpoints_endpoint ON project_endpoints (endpoint_id);
CREATE TABLE IF NOT EXISTS endpoint_groups (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    description @text@,
    filters @text@ NOT NULL);
CREATE TABLE IF NOT EXISTS project_endpoint_groups (
    project_id VARCHAR(64) NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    group_id VARCHAR(64) NOT NULL REFERENCES endpoint_groups (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, group_id));

-- Policy texts, and to which endpoints they belong: endpoint_id alone,
-- service_id alone, or service_id with region_id; the others are ''.
CREATE TABLE IF NOT EXISTS policies (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    type VARCHAR(255) NOT NULL,
    content @text@ NOT NULL,
    extra @text@ NOT NULL);
CREATE TABLE IF NOT EXISTS policy_associations (
    endpoint_id VARCHAR(64) NOT NULL,
    service_id VARCHAR(64) NOT NULL,
    region_id VARCHAR(255) NOT NULL,
    policy_id VARCHAR(64) NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    PRIMARY KEY (endpoint_id, service_id, region_id));

CREATE TABLE IF NOT EXISTS registered_limits (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    service_id VARCHAR(64) NOT NULL REFERENCES services (id),
    region_id VARCHAR(255) NOT NULL,
    resource_name VARCHAR(255) NOT NULL,
    default_limit BIGINT NOT NULL,
    description @text@);
CREATE UNIQUE INDEX IF NOT EXISTS registered_limits_what ON registered_limits (service_id, region_id, resource_name);
-- project_id is '' for the limit of a domain, domain_id for that of a project.
CREATE TABLE IF NOT EXISTS limits (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    service_id VARCHAR(64) NOT NULL,
    region_id VARCHAR(255) NOT NULL,
    resource_name VARCHAR(255) NOT NULL,
    project_id VARCHAR(64) NOT NULL,
    domain_id VARCHAR(64) NOT NULL,
    resource_limit BIGINT NOT NULL,
    description @text@);
CREATE UNIQUE INDEX IF NOT EXISTS limits_project ON limits (project_id, domain_id, service_id, region_id, resource_name);
CREATE INDEX IF NOT EXISTS limits_what ON limits (service_id, region_id, resource_name);
