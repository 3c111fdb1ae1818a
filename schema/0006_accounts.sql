-- Who made which token, how often the second factor was tried, and what of many refusals the audit trail counts only.

-- `created_by` is a name to show: of a user, `token:<name>`, or of a command. `owner_id` is the user behind it, also
-- where a token of theirs made this one; NULL: made by a command, or before this was known. `parent_id` is the API token
-- that made it. No references: both may go before what they made, where an administrator wants that.
ALTER TABLE api_tokens ADD COLUMN created_by TEXT;
ALTER TABLE api_tokens ADD COLUMN owner_id TEXT;
ALTER TABLE api_tokens ADD COLUMN parent_id TEXT;
ALTER TABLE enrollment_tokens ADD COLUMN created_by TEXT;
ALTER TABLE enrollment_tokens ADD COLUMN owner_id TEXT;
ALTER TABLE enrollment_tokens ADD COLUMN parent_id TEXT;
ALTER TABLE enrollment_tokens ADD COLUMN prefix TEXT NOT NULL DEFAULT '';

ALTER TABLE sessions ADD COLUMN tried_codes BIGINT NOT NULL DEFAULT 0;  -- while it owes its second factor

-- One row for each user and kind of code once one was wrong. A try counts before the code is looked at.
CREATE TABLE code_tries (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('totp', 'recovery')),
  in_a_row BIGINT NOT NULL,                        -- since the last one that was right
  last_at BIGINT NOT NULL,
  alarmed BIGINT NOT NULL DEFAULT 0,               -- how many in a row when administrators were last told; 0: never
  alarmed_at BIGINT,
  PRIMARY KEY (user_id, kind)
);

-- How many refusals of an action an address had in an hour ('': all addresses together). What the audit trail has no
-- row of its own for is counted in `left_out`; `audit_id` is the one row that stands for them.
CREATE TABLE refusals (
  hour BIGINT NOT NULL,                            -- hours since 1970
  address TEXT NOT NULL,
  action TEXT NOT NULL,
  told BIGINT NOT NULL,
  left_out BIGINT NOT NULL DEFAULT 0,
  audit_id TEXT REFERENCES audit (id) ON DELETE CASCADE,
  PRIMARY KEY (hour, address, action)
);
CREATE UNIQUE INDEX refusals_by_row ON refusals (audit_id) WHERE audit_id IS NOT NULL;
CREATE INDEX refusals_without_row ON refusals (hour) WHERE audit_id IS NULL;
