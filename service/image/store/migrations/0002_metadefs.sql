CREATE TABLE IF NOT EXISTS metadef_namespaces (
    name VARCHAR(80) NOT NULL PRIMARY KEY,
    display_name VARCHAR(80) NOT NULL,
    description VARCHAR(500) NOT NULL,
    visibility VARCHAR(16) NOT NULL,
    protected BOOLEAN NOT NULL,
    owner VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS metadef_namespaces_created ON metadef_namespaces (created_at, name);

-- Objects, properties, tags and associations: what a namespace defines.
CREATE TABLE IF NOT EXISTS metadef_definitions (
    namespace VARCHAR(80) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    name VARCHAR(80) NOT NULL,
    body @text@,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, kind, name));
CREATE INDEX IF NOT EXISTS metadef_definitions_name ON metadef_definitions (kind, name);

CREATE TABLE IF NOT EXISTS metadef_resource_types (
    name VARCHAR(80) NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL);
