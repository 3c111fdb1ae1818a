-- What a host's agent allows, and the newest good end of each kind of job.
ALTER TABLE hosts ADD COLUMN allow TEXT;             -- JSON list, as in its agent.toml; NULL: it does not tell
ALTER TABLE hosts ADD COLUMN restore_targets TEXT;   -- JSON list of folders; NULL: it does not tell

CREATE TABLE good_ends (                             -- jobs are pruned when they are old; this stays
  host_id TEXT NOT NULL REFERENCES hosts (id),
  kind TEXT NOT NULL,
  plan TEXT NOT NULL,                                -- '': of no plan
  job_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  stats TEXT NOT NULL,                               -- of that job
  PRIMARY KEY (host_id, kind, plan)
);
INSERT INTO good_ends (host_id, kind, plan, job_id, at, stats)
  SELECT host_id, kind, plan, id, finished_at, stats FROM (
    SELECT host_id, kind, coalesce(plan, '') AS plan, id, finished_at, coalesce(stats, '{}') AS stats,
      row_number() OVER (PARTITION BY host_id, kind, coalesce(plan, '') ORDER BY finished_at DESC, id DESC) AS place
    FROM jobs WHERE status = 'succeeded' AND finished_at IS NOT NULL
  ) AS ended WHERE place = 1;
