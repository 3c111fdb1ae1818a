-- A host whose agent cannot keep its reports on disk: why, and since when by the server's clock. NULL: it can, or does not
-- say.
ALTER TABLE hosts ADD COLUMN spool_problem TEXT;
ALTER TABLE hosts ADD COLUMN spool_problem_since BIGINT;
