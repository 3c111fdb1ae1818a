-- What channels learn: one message for one cause, escalation, quiet hours, digests, and why a queue is held.
ALTER TABLE channels ADD COLUMN group_by TEXT NOT NULL DEFAULT 'host' CHECK (group_by IN ('host', 'repository', 'all'));
ALTER TABLE channels ADD COLUMN after_minutes DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN quiet_hours TEXT;           -- JSON {timezone, from, to, days}
ALTER TABLE channels ADD COLUMN digest TEXT;                -- JSON {cron, timezone}
ALTER TABLE channels ADD COLUMN held_until BIGINT;          -- the receiver asked for quiet until then (Retry-After, a quota)
ALTER TABLE channels ADD COLUMN held_because TEXT;
ALTER TABLE deliveries ADD COLUMN dismissed BIGINT NOT NULL DEFAULT 0 CHECK (dismissed IN (0, 1));
-- 1: a dead one that an operator looked at and wants nothing more of
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (channel_id, dismissed) WHERE state = 'dead';
CREATE INDEX deliveries_given_up ON deliveries (channel_id, finished_at)  -- without what was dropped on purpose
  WHERE state = 'dead' AND dismissed = 0 AND coalesce(last_error, '') <> 'channel disabled';
