-- What Placement was told of an agent's host, as JSON, and when.
ALTER TABLE agents ADD COLUMN @absent@ published @text@;
ALTER TABLE agents ADD COLUMN @absent@ published_at BIGINT;
