-- Policies: one schedule for each host with any of some tags. Hosts that are paused.

CREATE TABLE policies (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,                            -- case-folded
  host_tags TEXT NOT NULL,                           -- JSON list; a host with any of them gets a schedule
  kind TEXT NOT NULL,
  cron TEXT,                                         -- exactly one of these three, as in schedules
  on_calendar TEXT,
  every_hours DOUBLE PRECISION CHECK (every_hours > 0),
  timezone TEXT NOT NULL,
  enabled BIGINT NOT NULL CHECK (enabled IN (0, 1)),
  mode TEXT NOT NULL CHECK (mode IN ('agent', 'external')),
  grace_seconds DOUBLE PRECISION NOT NULL,
  max_runtime_seconds DOUBLE PRECISION NOT NULL,
  max_age_hours DOUBLE PRECISION CHECK (max_age_hours > 0),
  on_partial TEXT NOT NULL CHECK (on_partial IN ('alert', 'ok')),
  params TEXT NOT NULL,
  spread_minutes BIGINT NOT NULL DEFAULT 0 CHECK (spread_minutes >= 0),  -- each host has its minute within so many
  created_at BIGINT NOT NULL,
  deleted_at BIGINT,                                 -- its schedules are deleted after it, one by one
  CHECK (CASE WHEN cron IS NULL THEN 0 ELSE 1 END + CASE WHEN on_calendar IS NULL THEN 0 ELSE 1 END
    + CASE WHEN every_hours IS NULL THEN 0 ELSE 1 END = 1)
);
CREATE UNIQUE INDEX policies_by_name ON policies (name_key) WHERE deleted_at IS NULL;

ALTER TABLE schedules ADD COLUMN policy_id TEXT REFERENCES policies (id);  -- the policy that made it; NULL: a person
CREATE UNIQUE INDEX schedules_by_policy ON schedules (policy_id, host_id)
  WHERE policy_id IS NOT NULL AND deleted_at IS NULL;
ALTER TABLE schedules ADD COLUMN paused BIGINT NOT NULL DEFAULT 0 CHECK (paused IN (0, 1));
-- 1: off because its host is paused, and on again with it

ALTER TABLE hosts ADD COLUMN paused_at BIGINT;       -- since when none of its schedules is on; NULL: it is not paused
