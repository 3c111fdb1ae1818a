-- Passkeys, and users who sign in through an OpenID provider.

CREATE TABLE passkeys (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  credential_id TEXT NOT NULL UNIQUE,              -- base64url, as browsers spell it
  public_key BLOB NOT NULL,                        -- COSE
  sign_count BIGINT NOT NULL,                      -- 0 for ever with authenticators that do not count
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id);

-- Challenges and states that were answered: each is good once. Kept until it would have expired anyway.
CREATE TABLE spent_once (
  digest TEXT PRIMARY KEY,
  expires_at BIGINT NOT NULL
);
CREATE INDEX spent_once_by_end ON spent_once (expires_at);

-- Who a user is at their provider; both or none. Such a user has no password here: `password_hash` is ''.
ALTER TABLE users ADD COLUMN issuer TEXT;
ALTER TABLE users ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject) WHERE issuer IS NOT NULL;

-- How pages look; NULL: the user never said, so what their browser said before they signed in.
ALTER TABLE users ADD COLUMN theme TEXT CHECK (theme IN ('system', 'light', 'dark'));
