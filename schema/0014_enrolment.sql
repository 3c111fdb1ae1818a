-- Enrollment tokens for several hosts, and for a host that is installed again.

ALTER TABLE enrollment_tokens ADD COLUMN uses BIGINT NOT NULL DEFAULT 1 CHECK (uses BETWEEN 1 AND 10000);
ALTER TABLE enrollment_tokens ADD COLUMN used BIGINT NOT NULL DEFAULT 0 CHECK (used >= 0 AND used <= uses);
ALTER TABLE enrollment_tokens ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';  -- JSON: put on each host that it enrolls
ALTER TABLE enrollment_tokens ADD COLUMN for_host_id TEXT REFERENCES hosts (id);
-- Not NULL: it enrolls a machine as this host, which keeps all but its credential.
UPDATE enrollment_tokens SET used = 1 WHERE used_at IS NOT NULL;

ALTER TABLE hosts ADD COLUMN enrollment_id TEXT;
-- The token that enrolled it last. No reference: tokens are removed a day after they end.
