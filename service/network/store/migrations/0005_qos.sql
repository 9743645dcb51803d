-- QoS policies, whose rules promise ports a part of their host's wires.
-- default_of is the project whose new networks have the policy; NULL for all others.
CREATE TABLE IF NOT EXISTS qos_policies (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    shared BOOLEAN NOT NULL,
    default_of VARCHAR(255));
CREATE UNIQUE INDEX IF NOT EXISTS qos_policies_default ON qos_policies (default_of);
CREATE INDEX IF NOT EXISTS qos_policies_project ON qos_policies (project_id);

CREATE TABLE IF NOT EXISTS qos_rules (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    policy_id VARCHAR(36) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    direction VARCHAR(16) NOT NULL,
    amount BIGINT NOT NULL,
    FOREIGN KEY (policy_id) REFERENCES qos_policies (id));
CREATE UNIQUE INDEX IF NOT EXISTS qos_rules_what ON qos_rules (policy_id, kind, direction);

ALTER TABLE networks ADD COLUMN @absent@ qos_policy VARCHAR(36) NOT NULL DEFAULT '';
ALTER TABLE ports ADD COLUMN @absent@ qos_policy VARCHAR(36) NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS networks_qos ON networks (qos_policy);
CREATE INDEX IF NOT EXISTS ports_qos ON ports (qos_policy);
