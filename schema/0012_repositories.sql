-- Repositories as things, known by restic's own id of each: as agents tell of them when they are asked.
CREATE TABLE repositories (
  id TEXT PRIMARY KEY,                               -- restic's: 64 hex digits
  version BIGINT,                                    -- of its format
  size_bytes BIGINT,                                 -- this and what follows: as it was at measured_at
  uncompressed_bytes BIGINT,
  compression DOUBLE PRECISION,                      -- how many times smaller its data is
  snapshots BIGINT,
  shares TEXT NOT NULL DEFAULT '[]',                 -- JSON [{host, snapshots, bytes, unique_bytes}], by restic's names
  locks TEXT NOT NULL DEFAULT '[]',                  -- JSON [{host, user, pid, at, exclusive}]
  measured_at BIGINT,                                -- when an agent was asked; NULL: it was not measured yet
  measured_by TEXT,                                  -- that agent's host
  wanted_at BIGINT,                                  -- an operator wants it measured since then
  first_seen_at BIGINT NOT NULL
);

CREATE TABLE repository_uses (                       -- what is in the agent.toml of each host
  host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  repository_id TEXT,                                -- NULL: the agent could not open it yet
  location TEXT NOT NULL,                            -- without passwords
  plans TEXT NOT NULL,                               -- JSON list of names
  filed_as TEXT NOT NULL,                            -- this host's name in its snapshots
  error TEXT,                                        -- why it could not be looked at the last time
  error_at BIGINT,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (host_id, name)
);
CREATE INDEX repository_uses_by_repository ON repository_uses (repository_id, host_id);

CREATE TABLE repository_sizes (                      -- at most one a day
  repository_id TEXT NOT NULL,
  day BIGINT NOT NULL,                               -- since 1970, in UTC
  at BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  snapshots BIGINT NOT NULL,
  PRIMARY KEY (repository_id, day)
);
CREATE INDEX repository_sizes_by_day ON repository_sizes (day, repository_id);  -- a list reads the newest of all

CREATE TABLE care_ends (                             -- the newest good end of what keeps a repository well
  host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('check', 'prune', 'restore_test')),  -- a forget that pruned is a prune
  plan TEXT NOT NULL,                                -- '': it named the repository
  repository TEXT NOT NULL,                          -- its name in agent.toml; '': it named the plan
  job_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (host_id, kind, plan, repository)
);
INSERT INTO care_ends (host_id, kind, plan, repository, job_id, at)
  SELECT host_id, kind, plan, '', job_id, at FROM good_ends
  WHERE kind IN ('check', 'prune', 'restore_test') AND plan <> '';

ALTER TABLE hosts ADD COLUMN repositories_due_at BIGINT NOT NULL DEFAULT 0;  -- when to ask its agent again
ALTER TABLE hosts ADD COLUMN repositories_asked_at BIGINT;
ALTER TABLE hosts ADD COLUMN repositories_failures BIGINT NOT NULL DEFAULT 0;  -- times in a row
ALTER TABLE hosts ADD COLUMN repositories_problem TEXT;                        -- why its agent does not tell, in a word
ALTER TABLE hosts ADD COLUMN repositories_detail TEXT;                         -- the same in its words
CREATE INDEX hosts_repositories_due ON hosts (repositories_due_at)
  WHERE deleted_at IS NULL AND first_hello_at IS NOT NULL;
