-- Schedules by cron, by systemd's OnCalendar or by interval; how old a backup may get; clocks and zones of hosts.

CREATE TABLE schedules_new (
  id TEXT PRIMARY KEY,
  host_id TEXT NOT NULL REFERENCES hosts (id),
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  cron TEXT,                                       -- exactly one of these three
  on_calendar TEXT,                                -- as systemd writes it; mode external only
  every_hours DOUBLE PRECISION CHECK (every_hours > 0),
  timezone TEXT NOT NULL,
  enabled BIGINT NOT NULL CHECK (enabled IN (0, 1)),
  mode TEXT NOT NULL CHECK (mode IN ('agent', 'external')),
  grace_seconds DOUBLE PRECISION NOT NULL,
  max_runtime_seconds DOUBLE PRECISION NOT NULL,
  max_age_hours DOUBLE PRECISION CHECK (max_age_hours > 0),  -- NULL: no good end is asked for
  on_partial TEXT NOT NULL CHECK (on_partial IN ('alert', 'ok')),
  params TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  anchor_at BIGINT NOT NULL,                       -- created, enabled or changed: slots before it are not judged
  last_slot_at BIGINT,                             -- newest slot that a run was started for
  last_run_at BIGINT,                              -- newest start of a run that named no slot
  last_good_at BIGINT,                             -- newest good end of a run of this schedule, or of its plan
  deleted_at BIGINT,
  CHECK (CASE WHEN cron IS NULL THEN 0 ELSE 1 END + CASE WHEN on_calendar IS NULL THEN 0 ELSE 1 END
    + CASE WHEN every_hours IS NULL THEN 0 ELSE 1 END = 1)
);
INSERT INTO schedules_new (id, host_id, name, kind, cron, timezone, enabled, mode, grace_seconds, max_runtime_seconds,
    on_partial, params, created_at, anchor_at, last_slot_at, last_run_at, last_good_at, deleted_at)
  SELECT id, host_id, name, kind, cron, timezone, enabled, mode, grace_seconds, max_runtime_seconds,
    on_partial, params, created_at, anchor_at, last_slot_at, last_run_at,
    (SELECT tracks.last_good_at FROM tracks
      WHERE tracks.host_id = schedules.host_id AND tracks.kind = 'backup_failed' AND tracks.subject = schedules.id),
    deleted_at
  FROM schedules;
DROP TABLE schedules;
ALTER TABLE schedules_new RENAME TO schedules;
CREATE INDEX schedules_by_host ON schedules (host_id) WHERE deleted_at IS NULL;

ALTER TABLE hosts ADD COLUMN clock_offset_seconds DOUBLE PRECISION;  -- the host's clock minus the server's, at its hello
ALTER TABLE hosts ADD COLUMN tzdata_version TEXT;                    -- like 2026f
ALTER TABLE hosts ADD COLUMN restic_problem TEXT;                    -- why its restic cannot be used; NULL: it can

ALTER TABLE alerts ADD COLUMN known_partial BIGINT NOT NULL DEFAULT 0 CHECK (known_partial IN (0, 1));
-- 1: people know of nothing worse than a partial run, so a failed one is news to them
UPDATE alerts SET known_partial = 1
  WHERE resolved = 0 AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = alerts.job_id AND jobs.status = 'partial');

ALTER TABLE tracks ADD COLUMN good TEXT;           -- JSON: the newest good end, whatever came since
ALTER TABLE tracks ADD COLUMN usual TEXT;          -- JSON: files and bytes of the last good backups
