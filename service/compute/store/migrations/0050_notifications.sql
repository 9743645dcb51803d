-- Notifications on their way to the bus: written with what they tell of, removed
-- when the bus has them.
CREATE TABLE IF NOT EXISTS notifications (
    seq @serial@,
    topic VARCHAR(64) NOT NULL,
    priority VARCHAR(16) NOT NULL,
    message @text@ NOT NULL,
    owner VARCHAR(64) NOT NULL,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS notifications_lease ON notifications (lease_until, seq);
CREATE INDEX IF NOT EXISTS notifications_owner ON notifications (owner, seq);
