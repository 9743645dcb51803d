-- Which security groups are in use on which host: a change of a group's members
-- must find the hosts that have to know without looking at every member.
CREATE TABLE IF NOT EXISTS bound_groups (
    host VARCHAR(190) NOT NULL,
    group_id VARCHAR(36) NOT NULL,
    port_id VARCHAR(36) NOT NULL,
    PRIMARY KEY (host, group_id, port_id));
CREATE INDEX IF NOT EXISTS bound_groups_port ON bound_groups (port_id);
INSERT INTO bound_groups (host, group_id, port_id)
    SELECT p.host, g.group_id, g.port_id FROM port_groups AS g JOIN ports AS p ON p.id = g.port_id
    WHERE p.host <> '' AND NOT EXISTS (SELECT 1 FROM bound_groups AS b WHERE b.port_id = p.id);
