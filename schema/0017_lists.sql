-- What lists are sorted and filtered by.
ALTER TABLE hosts ADD COLUMN last_backup_at BIGINT NOT NULL DEFAULT 0;       -- when its newest backup ended, however; 0: none did
ALTER TABLE hosts ADD COLUMN last_good_backup_at BIGINT NOT NULL DEFAULT 0;  -- when the newest one ended well, or in part
UPDATE hosts SET
    last_backup_at = coalesce((SELECT max(finished_at) FROM jobs
      WHERE host_id = hosts.id AND kind = 'backup' AND finished_at IS NOT NULL), 0),
    last_good_backup_at = coalesce((SELECT finished_at FROM jobs
      WHERE host_id = hosts.id AND kind = 'backup' AND finished_at IS NOT NULL AND status IN ('succeeded', 'partial')
      ORDER BY finished_at DESC LIMIT 1), 0);

CREATE INDEX hosts_listed ON hosts (name_key, id, hostname, tags) WHERE deleted_at IS NULL;  -- a search reads this alone
CREATE INDEX hosts_by_tags ON hosts (tags) WHERE deleted_at IS NULL;
CREATE INDEX hosts_by_backup ON hosts (last_backup_at, id) WHERE deleted_at IS NULL;
CREATE INDEX hosts_by_good_backup ON hosts (last_good_backup_at) WHERE deleted_at IS NULL;

CREATE INDEX alerts_open_of_hosts ON alerts (host_id, kind, severity)
  WHERE resolved = 0 AND acknowledged_at IS NULL;
CREATE INDEX alerts_by_severity ON alerts (severity, created_at DESC, id DESC, acknowledged_at) WHERE resolved = 0;

DROP INDEX jobs_by_time;
CREATE INDEX jobs_by_time ON jobs (sort_at, id, host_id, kind, status);      -- filters are judged without the rows
CREATE INDEX jobs_of_rare_kinds ON jobs (kind, sort_at, id)
  WHERE kind IN ('init', 'unlock', 'restore', 'diff', 'snapshots', 'restore_test');
CREATE INDEX jobs_ended_badly ON jobs (status, sort_at, id)
  WHERE status IN ('partial', 'failed', 'cancelled', 'skipped');

CREATE INDEX schedules_planned ON schedules (cron, on_calendar, timezone, kind, host_id)  -- the calendar counts equal ones
  WHERE deleted_at IS NULL AND enabled = 1;

ALTER TABLE repositories ADD COLUMN growth_bytes BIGINT;  -- in 30 days, by a size of each week; NULL: not known yet
UPDATE repositories SET growth_bytes = (
    SELECT CASE WHEN newest.at - oldest.at >= 86400000000
      THEN CAST(round((newest.bytes - oldest.bytes) * 2592000000000.0 / (newest.at - oldest.at)) AS BIGINT) END
    FROM repository_sizes newest JOIN repository_sizes oldest ON oldest.repository_id = newest.repository_id
    WHERE newest.repository_id = repositories.id
      AND newest.day = (SELECT max(day) FROM repository_sizes WHERE repository_id = repositories.id)
      AND oldest.day = coalesce(
        (SELECT max(s.day) FROM repository_sizes s WHERE s.repository_id = repositories.id
          AND s.at <= newest.at - 2592000000000 AND NOT EXISTS (SELECT 1 FROM repository_sizes t
            WHERE t.repository_id = s.repository_id AND t.day / 7 = s.day / 7 AND t.day > s.day)),
        (SELECT max(s.day) FROM repository_sizes s WHERE s.repository_id = repositories.id
          AND s.day / 7 = (SELECT min(day) / 7 FROM repository_sizes WHERE repository_id = repositories.id))));
CREATE INDEX repositories_by_size ON repositories ((coalesce(size_bytes, 9223372036854775807)), id);
CREATE INDEX repositories_by_size_down ON repositories ((coalesce(-size_bytes, 9223372036854775807)), id);
CREATE INDEX repositories_by_growth ON repositories ((coalesce(growth_bytes, 9223372036854775807)), id);
CREATE INDEX repositories_by_growth_down ON repositories ((coalesce(-growth_bytes, 9223372036854775807)), id);
DELETE FROM repository_uses WHERE host_id IN (SELECT id FROM hosts WHERE deleted_at IS NOT NULL);
