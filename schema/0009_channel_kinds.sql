-- Which kinds of channel there are is the program's matter, so that a new one needs no migration. SQLite cannot take a
-- CHECK from a column, and a new table in the place of this one would take with it what refers to it: so the column is
-- replaced.
ALTER TABLE channels ADD COLUMN any_kind TEXT NOT NULL DEFAULT '';
UPDATE channels SET any_kind = kind;
ALTER TABLE channels DROP COLUMN kind;
ALTER TABLE channels RENAME COLUMN any_kind TO kind;
