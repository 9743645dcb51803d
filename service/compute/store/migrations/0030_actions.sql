-- Who has locked a server ("owner" or "admin"), and what the service itself
-- remembers of it (system_metadata of upstream).
ALTER TABLE servers ADD COLUMN @absent@ locked_by VARCHAR(16) NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN @absent@ system_metadata VARCHAR(4000) NOT NULL DEFAULT 'null';
