-- What the service remembers of a server is as long as it is: roles, certificates
-- and disks may come to more than 4,000 characters.
@typed@ ALTER TABLE servers @retype@ system_metadata @to@ @text@ /*! NOT NULL DEFAULT 'null' */;
