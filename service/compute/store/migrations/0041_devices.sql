-- The disks that a server has of the volume service.
ALTER TABLE servers ADD COLUMN @absent@ devices @text@;
