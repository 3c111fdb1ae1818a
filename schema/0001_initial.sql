-- The first schema. Times are integer microseconds since 1970 UTC, booleans 0/1, lists and objects JSON text,
-- durations seconds. Kept to what SQLite and PostgreSQL share.

-- ---- who may come in -------------------------------------------------------------------------------------

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  username TEXT NOT NULL,
  username_key TEXT NOT NULL UNIQUE,               -- case-folded
  password_hash TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  disabled BIGINT NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  totp_secret BLOB,                                -- AEAD, see the secret box
  totp_last_step BIGINT,
  timezone TEXT,
  created_at BIGINT NOT NULL,
  last_login_at BIGINT
);

CREATE TABLE recovery_codes (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  code_hash TEXT NOT NULL,
  used_at BIGINT,
  PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,                      -- absolute end
  proved_at BIGINT NOT NULL,                       -- when a password was last shown
  second_factor BIGINT NOT NULL DEFAULT 1 CHECK (second_factor IN (0, 1)),  -- 0: still asked for
  address TEXT NOT NULL,
  user_agent TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE api_tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  prefix TEXT NOT NULL,
  token_hash TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  last_used_at BIGINT
);

CREATE TABLE setup_tokens (
  token_hash TEXT PRIMARY KEY,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE enrollment_tokens (
  id TEXT PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  host_id TEXT
);

CREATE TABLE audit (
  id TEXT PRIMARY KEY,
  n BIGINT NOT NULL UNIQUE,                        -- order of commit
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  actor_kind TEXT NOT NULL CHECK (actor_kind IN ('user', 'token', 'agent', 'system')),
  action TEXT NOT NULL,
  target_kind TEXT NOT NULL,
  target_id TEXT NOT NULL,
  result TEXT NOT NULL,
  address TEXT NOT NULL,
  detail TEXT NOT NULL
);

-- ---- hosts and what they run -----------------------------------------------------------------------------

CREATE TABLE hosts (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,                          -- case-folded
  hostname TEXT NOT NULL,
  os TEXT NOT NULL,
  arch TEXT NOT NULL,
  tags TEXT NOT NULL DEFAULT '[]',
  token_hash TEXT,                                 -- NULL: revoked
  agent_version TEXT NOT NULL,
  restic_version TEXT,
  timezone TEXT,
  plans TEXT NOT NULL DEFAULT '[]',
  schedules_rev BIGINT NOT NULL DEFAULT 0,
  enrolled_at BIGINT NOT NULL,
  first_hello_at BIGINT,                           -- as an agent; NULL: has only sent reports, or nothing
  last_hello_at BIGINT,
  first_report_at BIGINT,
  last_seen_at BIGINT,
  deleted_at BIGINT
);
CREATE UNIQUE INDEX hosts_by_name ON hosts (name_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX hosts_by_token ON hosts (token_hash) WHERE token_hash IS NOT NULL;

CREATE TABLE host_notes (                          -- refused reports, cloned agents: what an operator should look at
  id TEXT PRIMARY KEY,
  host_id TEXT NOT NULL REFERENCES hosts (id),
  at BIGINT NOT NULL,
  code TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX host_notes_by_host ON host_notes (host_id, at);

CREATE TABLE schedules (
  id TEXT PRIMARY KEY,
  host_id TEXT NOT NULL REFERENCES hosts (id),
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  cron TEXT NOT NULL,
  timezone TEXT NOT NULL,
  enabled BIGINT NOT NULL CHECK (enabled IN (0, 1)),
  mode TEXT NOT NULL CHECK (mode IN ('agent', 'external')),
  grace_seconds DOUBLE PRECISION NOT NULL,
  max_runtime_seconds DOUBLE PRECISION NOT NULL,
  on_partial TEXT NOT NULL CHECK (on_partial IN ('alert', 'ok')),
  params TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  anchor_at BIGINT NOT NULL,                       -- created, enabled or changed: slots before it are not judged
  last_slot_at BIGINT,                             -- newest slot that a run was started for
  last_run_at BIGINT,                              -- newest start of a run that named no slot
  deleted_at BIGINT
);
CREATE INDEX schedules_by_host ON schedules (host_id) WHERE deleted_at IS NULL;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  host_id TEXT NOT NULL REFERENCES hosts (id),
  kind TEXT NOT NULL,
  plan TEXT,
  schedule_id TEXT,
  scheduled_for BIGINT,
  subject TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN
    ('queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled', 'skipped')),
  reason TEXT,
  error TEXT,
  exit_code BIGINT,
  params TEXT NOT NULL DEFAULT '{}',
  stats TEXT NOT NULL DEFAULT '{}',
  warning TEXT,
  queued_at BIGINT,
  started_at BIGINT,
  finished_at BIGINT,
  deadline_at BIGINT,                              -- of a running job: later than this without an end, it is lost
  cancel_requested_at BIGINT,
  given_up BIGINT NOT NULL DEFAULT 0 CHECK (given_up IN (0, 1)),  -- the server called it lost; its real end may still come
  sort_at BIGINT NOT NULL                          -- queued or started, for lists
);
CREATE INDEX jobs_by_time ON jobs (sort_at, id);
CREATE INDEX jobs_by_host ON jobs (host_id, sort_at, id);
CREATE INDEX jobs_by_schedule ON jobs (schedule_id, sort_at) WHERE schedule_id IS NOT NULL;
CREATE INDEX jobs_unfinished ON jobs (host_id) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_ended ON jobs (host_id, kind, finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE job_logs (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  line BIGINT NOT NULL,
  stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr')),
  text TEXT NOT NULL,
  PRIMARY KEY (job_id, line)
);

-- What the rules remember of each (host, kind of alert, subject): the newest outcome that counted, for example.
CREATE TABLE tracks (
  host_id TEXT NOT NULL REFERENCES hosts (id),
  kind TEXT NOT NULL,                              -- kind of alert
  subject TEXT NOT NULL,
  version BIGINT NOT NULL,                         -- one more with every change: a decision expects the one it saw
  head TEXT,                                       -- JSON of the newest outcome that counted
  last_good_at BIGINT,
  quiet BIGINT NOT NULL DEFAULT 0 CHECK (quiet IN (0, 1)),  -- an operator resolved a condition that still holds
  PRIMARY KEY (host_id, kind, subject)
);

-- ---- alerts ----------------------------------------------------------------------------------------------

CREATE TABLE alerts (
  id TEXT PRIMARY KEY,
  host_id TEXT NOT NULL,
  host_name TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  message TEXT NOT NULL,
  occurrences BIGINT NOT NULL DEFAULT 1,
  job_id TEXT,                                     -- the job that raised or last touched it
  pos BIGINT NOT NULL,                             -- number of its newest timeline entry
  created_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  acknowledged_at BIGINT,
  acknowledged_by TEXT,
  acknowledged_note TEXT,
  resolved_at BIGINT,
  resolved_by TEXT,
  resolved_note TEXT,
  resolved BIGINT NOT NULL DEFAULT 0 CHECK (resolved IN (0, 1)),
  CHECK (resolved = CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END)
);
CREATE UNIQUE INDEX alerts_unresolved ON alerts (host_id, kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX alerts_listed ON alerts (resolved, created_at DESC, id DESC);
CREATE INDEX alerts_open ON alerts (created_at DESC, id DESC) WHERE resolved = 0 AND acknowledged_at IS NULL;
CREATE INDEX alerts_acknowledged ON alerts (created_at DESC, id DESC) WHERE resolved = 0 AND acknowledged_at IS NOT NULL;
CREATE INDEX alerts_by_end ON alerts (resolved_at) WHERE resolved = 1;
CREATE INDEX alerts_by_host ON alerts (host_id, resolved, created_at DESC, id DESC);

CREATE TABLE alert_events (                        -- transitions; attempts are in notification_log
  alert_id TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
  pos BIGINT NOT NULL,
  at BIGINT NOT NULL,
  event TEXT NOT NULL,
  by_whom TEXT,
  note TEXT,
  message TEXT,
  channel_id TEXT,
  channel_name TEXT,
  PRIMARY KEY (alert_id, pos)
);

CREATE TABLE silences (
  id TEXT PRIMARY KEY,
  host_id TEXT,
  kind TEXT,
  tag TEXT,
  starts_at BIGINT NOT NULL,
  ends_at BIGINT,
  recurrence TEXT,                                 -- JSON {cron, timezone, duration_minutes}
  reason TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  deleted_at BIGINT,
  CHECK (ends_at IS NOT NULL OR recurrence IS NOT NULL)
);

-- ---- notifications ---------------------------------------------------------------------------------------

CREATE TABLE channels (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('webhook', 'ntfy', 'smtp')),
  name TEXT NOT NULL,
  enabled BIGINT NOT NULL CHECK (enabled IN (0, 1)),
  config BLOB NOT NULL,                            -- AEAD, key id in front, associated data notification-channel:<id>
  default_priority TEXT,
  min_severity TEXT NOT NULL CHECK (min_severity IN ('info', 'warning', 'critical')),
  events TEXT NOT NULL,
  host_tags TEXT NOT NULL,
  group_seconds DOUBLE PRECISION NOT NULL,
  remind_hours DOUBLE PRECISION NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  last_fired_at BIGINT,
  last_error TEXT,
  failing_since BIGINT,                            -- NULL: the last attempt went through
  next_seq BIGINT NOT NULL DEFAULT 1,
  deleted_at BIGINT
);

CREATE TABLE deliveries (                          -- the outbox
  id TEXT PRIMARY KEY,
  channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  alert_id TEXT NOT NULL,
  host_id TEXT NOT NULL,
  event TEXT NOT NULL,
  seq BIGINT NOT NULL,                             -- order within the channel
  pos BIGINT NOT NULL,                             -- order within the alert
  body TEXT NOT NULL,                              -- JSON, see messages.notices
  state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'dead', 'superseded')),
  attempts BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,                          -- not before
  grouped BIGINT NOT NULL DEFAULT 0 CHECK (grouped IN (0, 1)),  -- waits for its host's window, goes with the others
  recipients_left TEXT,                            -- JSON, where some recipients have it already
  last_error TEXT,
  finished_at BIGINT,
  carried_by TEXT,                                 -- the delivery that told this one as well
  UNIQUE (channel_id, seq)
);
CREATE INDEX deliveries_queued ON deliveries (channel_id, seq) WHERE state = 'queued';
CREATE INDEX deliveries_dead ON deliveries (channel_id) WHERE state = 'dead';
CREATE INDEX deliveries_by_alert ON deliveries (alert_id, channel_id, pos);

CREATE TABLE group_windows (                       -- first alert of a host went out; what follows waits until then
  channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  host_id TEXT NOT NULL,
  until_at BIGINT NOT NULL,
  PRIMARY KEY (channel_id, host_id)
);

CREATE TABLE held (                                -- raises that a silence keeps back from a channel
  channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  alert_id TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
  at BIGINT NOT NULL,
  PRIMARY KEY (channel_id, alert_id)
);

CREATE TABLE told (                                -- when a channel was last told of an open alert, for reminders
  channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  alert_id TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
  at BIGINT NOT NULL,
  PRIMARY KEY (channel_id, alert_id)
);

CREATE TABLE notification_log (                    -- one row an attempt
  id TEXT PRIMARY KEY,
  n BIGINT NOT NULL UNIQUE,                        -- order of commit
  channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  alert_id TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  event TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  ok BIGINT NOT NULL CHECK (ok IN (0, 1)),
  dead BIGINT NOT NULL DEFAULT 0 CHECK (dead IN (0, 1)),
  status_code BIGINT,
  latency_ms DOUBLE PRECISION NOT NULL,
  error TEXT,
  fired_at BIGINT NOT NULL
);
CREATE INDEX notification_log_by_channel ON notification_log (channel_id, n);
CREATE INDEX notification_log_by_delivery ON notification_log (delivery_id, n);

-- ---- the server itself -----------------------------------------------------------------------------------

CREATE TABLE facts (                               -- one row a fact: the key's check value, counters
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
