-- What channels learn: one message for one cause, escalation, quiet hours, digests, and why a queue is held.
ALTER TABLE channels ADD COLUMN group_by TEXT NOT NULL DEFAULT 'host' CHECK (group_by IN ('host', 'repository', 'all'));
ALTER TABLE channels ADD COLUMN after_minutes DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN quiet_hours TEXT;           -- JSON {timezone, from, to, days}
ALTER TABLE channels ADD COLUMN digest TEXT;                -- JSON {cron, timezone}
ALTER TABLE channels ADD COLUMN digest_at BIGINT;           -- the slot of the last digest, or from when on there is one
ALTER TABLE channels ADD COLUMN held_until BIGINT;          -- the receiver asked for quiet until then (Retry-After, a quota)
ALTER TABLE channels ADD COLUMN held_because TEXT;
ALTER TABLE deliveries ADD COLUMN dismissed BIGINT NOT NULL DEFAULT 0 CHECK (dismissed IN (0, 1));
-- 1: a dead one that an operator looked at and wants nothing more of
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (channel_id, dismissed) WHERE state = 'dead';
CREATE INDEX deliveries_given_up ON deliveries (channel_id, finished_at)  -- without what was dropped on purpose
  WHERE state = 'dead' AND dismissed = 0 AND coalesce(last_error, '') <> 'channel disabled';

ALTER TABLE deliveries ADD COLUMN group_key TEXT NOT NULL DEFAULT '';  -- of a group over hosts: what goes as one message
-- Those of unresolved alerts: a raise leaves its group when its alert is resolved.
CREATE INDEX deliveries_by_group ON deliveries (channel_id, group_key) WHERE event = 'alert.raised' AND group_key <> '';

CREATE TABLE shared_windows (                      -- as group_windows, for alerts of several hosts
  channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  about TEXT NOT NULL,
  until_at BIGINT NOT NULL,
  group_key TEXT NOT NULL,
  PRIMARY KEY (channel_id, about)
);
-- A channel that hears of alerts later than others (after_minutes): `held.at` is when nobody began to look after the
-- alert, and `silenced` says whether a silence holds it back (as well).
ALTER TABLE held ADD COLUMN silenced BIGINT NOT NULL DEFAULT 1 CHECK (silenced IN (0, 1));
CREATE INDEX held_in_order ON held (channel_id, at);

ALTER TABLE deliveries ADD COLUMN loud BIGINT NOT NULL DEFAULT 0 CHECK (loud IN (0, 1));  -- goes out in quiet hours, too
UPDATE deliveries SET loud = 1 WHERE state = 'queued'
  AND (body LIKE '{"severity":"critical"%' OR body LIKE '{"severity": "critical"%');
