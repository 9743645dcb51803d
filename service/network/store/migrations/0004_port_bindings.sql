-- Bindings of ports that are not in use: where a server is on the way to, or has
-- just left. The one in use is in the port's own row.
CREATE TABLE IF NOT EXISTS port_bindings (
    port_id VARCHAR(36) NOT NULL,
    host VARCHAR(255) NOT NULL,
    vif_type VARCHAR(64) NOT NULL,
    vnic_type VARCHAR(64) NOT NULL,
    profile @text@ NOT NULL,
    PRIMARY KEY (port_id, host),
    FOREIGN KEY (port_id) REFERENCES ports (id));
