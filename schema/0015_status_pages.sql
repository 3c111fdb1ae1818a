-- Status pages for people without an account.

CREATE TABLE status_pages (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  host_tags TEXT NOT NULL,                           -- JSON: any of them matches, none means every host
  show TEXT NOT NULL CHECK (show IN ('overview', 'hosts')),
  token_hash TEXT NOT NULL UNIQUE,                   -- of the secret in the address
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
