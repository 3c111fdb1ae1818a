-- Nodes that share one PostgreSQL: which one leads, and who is there. On SQLite, where one server is alone, all stay empty.

CREATE TABLE leader (                              -- one row, the lease
  name TEXT PRIMARY KEY CHECK (name = 'server'),
  node TEXT,                                       -- NULL: nobody has led yet
  url TEXT,                                        -- where the others send browsers
  epoch BIGINT NOT NULL,                           -- one more with each new leader
  until_at BIGINT NOT NULL,                        -- by the database's clock; 0: given back
  since_at BIGINT                                  -- when it was taken; NULL: never
);

CREATE TABLE turn (                                -- one row: who writes holds its lock, and renewals do not wait for it
  name TEXT PRIMARY KEY CHECK (name = 'server'),
  number BIGINT NOT NULL                           -- of the leader: drawn from the clock, which no other one has or had
);

CREATE TABLE nodes (                               -- for people to look at: nothing is decided by it
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  version TEXT NOT NULL,
  key_ids TEXT NOT NULL,                           -- JSON list: the keys in its key file
  clock_off BIGINT NOT NULL,                       -- its clock minus the database's
  seen_at BIGINT NOT NULL                          -- by the database's clock
);
