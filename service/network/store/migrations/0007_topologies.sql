-- default_for is 'external' for the external network that topologies which are
-- laid out by themselves lead to; NULL for all others.
ALTER TABLE networks ADD COLUMN @absent@ default_for VARCHAR(16);
CREATE UNIQUE INDEX IF NOT EXISTS networks_default ON networks (default_for);

-- What was laid out for a project. router_id has no key: its owner may remove the
-- router, and the network is then a network as any other.
CREATE TABLE IF NOT EXISTS topologies (
    project_id VARCHAR(255) NOT NULL PRIMARY KEY,
    network_id VARCHAR(36) NOT NULL,
    router_id VARCHAR(36) NOT NULL);
CREATE INDEX IF NOT EXISTS topologies_network ON topologies (network_id);
