-- Who provides something. A root is its own root; its parent is NULL.
-- revision: the value of revisions.providers when the row, or anything that
-- hangs on it, was last changed.
CREATE TABLE IF NOT EXISTS providers (
	id @serial@,
	uuid VARCHAR(36) NOT NULL UNIQUE,
	name VARCHAR(200) NOT NULL UNIQUE,
	generation BIGINT NOT NULL,
	parent_id BIGINT,
	root_id BIGINT NOT NULL,
	revision BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS providers_revision ON providers (revision);
CREATE INDEX IF NOT EXISTS providers_parent ON providers (parent_id);
CREATE INDEX IF NOT EXISTS providers_root ON providers (root_id);

-- used: the sum of the allocations, kept with them in the same transactions.
CREATE TABLE IF NOT EXISTS inventories (
	provider_id BIGINT NOT NULL,
	resource_class VARCHAR(255) NOT NULL,
	total BIGINT NOT NULL,
	reserved BIGINT NOT NULL,
	min_unit BIGINT NOT NULL,
	max_unit BIGINT NOT NULL,
	step_size BIGINT NOT NULL,
	allocation_ratio @double@ NOT NULL,
	used BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (provider_id, resource_class)
);
CREATE INDEX IF NOT EXISTS inventories_class ON inventories (resource_class);

CREATE TABLE IF NOT EXISTS provider_traits (
	provider_id BIGINT NOT NULL,
	trait VARCHAR(255) NOT NULL,
	PRIMARY KEY (provider_id, trait)
);
CREATE INDEX IF NOT EXISTS provider_traits_trait ON provider_traits (trait);

CREATE TABLE IF NOT EXISTS provider_aggregates (
	provider_id BIGINT NOT NULL,
	aggregate VARCHAR(36) NOT NULL,
	PRIMARY KEY (provider_id, aggregate)
);

-- The names that operators made; the standard ones are part of the program.
CREATE TABLE IF NOT EXISTS traits (
	name VARCHAR(255) NOT NULL PRIMARY KEY,
	updated_at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS resource_classes (
	name VARCHAR(255) NOT NULL PRIMARY KEY,
	updated_at BIGINT NOT NULL
);

-- A consumer's row lives as long as it has allocations.
CREATE TABLE IF NOT EXISTS consumers (
	uuid VARCHAR(36) NOT NULL PRIMARY KEY,
	generation BIGINT NOT NULL,
	project_id VARCHAR(255) NOT NULL,
	user_id VARCHAR(255) NOT NULL,
	consumer_type VARCHAR(255),
	updated_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS consumers_owner ON consumers (project_id, user_id);

CREATE TABLE IF NOT EXISTS allocations (
	consumer_uuid VARCHAR(36) NOT NULL,
	provider_id BIGINT NOT NULL,
	resource_class VARCHAR(255) NOT NULL,
	used BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (consumer_uuid, provider_id, resource_class)
);
CREATE INDEX IF NOT EXISTS allocations_provider ON allocations (provider_id);

-- providers and names: how many transactions have changed any of them. Pictures
-- of the tables kept in memory are as new as these say.
CREATE TABLE IF NOT EXISTS revisions (
	name VARCHAR(32) NOT NULL PRIMARY KEY,
	value BIGINT NOT NULL
);

-- Providers that are gone, for pictures that still have them.
CREATE TABLE IF NOT EXISTS deleted_providers (
	uuid VARCHAR(36) NOT NULL,
	revision BIGINT NOT NULL,
	PRIMARY KEY (revision, uuid)
);
