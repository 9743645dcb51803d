-- Tasks that nobody has, in their order: where hundreds are under way, looking for
-- the next one does not read those.
CREATE INDEX IF NOT EXISTS tasks_free ON tasks (lease_until, seq);
