-- Functions of SQLite that the store's SQL uses and PostgreSQL has not, and three that make a statement fail. Made again before
-- the migrations of each start that has any.

CREATE OR REPLACE FUNCTION rm_expect(rows_touched BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
  IF rows_touched = 0 THEN RAISE EXCEPTION USING ERRCODE = 'RM001', MESSAGE = 'no row was as expected'; END IF;
  RETURN rows_touched;
END $$;

CREATE OR REPLACE FUNCTION rm_lead(leads BOOLEAN) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  IF leads IS NOT TRUE THEN
    RAISE EXCEPTION USING ERRCODE = 'RM002', MESSAGE = 'another node leads by now';
  END IF;
  RETURN leads;
END $$;

CREATE OR REPLACE FUNCTION rm_synchronous() RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('synchronous_standby_names') = '' OR current_setting('synchronous_commit') IN ('off', 'local') THEN
    RAISE EXCEPTION USING ERRCODE = 'RM003', MESSAGE = 'no commit waits for a standby, and RM_REQUIRE_SYNC asks for one';
  END IF;
  RETURN TRUE;
END $$;

CREATE OR REPLACE FUNCTION unicode_lower(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT lower(t COLLATE "und-x-icu") $$;

-- A block that may fail is no work for parallel workers, so these are not PARALLEL SAFE.
CREATE OR REPLACE FUNCTION json_valid(t TEXT) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN t::json IS NOT NULL;
EXCEPTION WHEN invalid_text_representation THEN
  RETURN FALSE;
END $$;

-- Of an object's value at '$.name'. What cannot be read, or is no text of PostgreSQL (it has a NUL), is not there.
CREATE OR REPLACE FUNCTION json_type(t TEXT, path TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE kind TEXT;
BEGIN
  kind := json_typeof(t::json -> substr(path, 3));
  RETURN CASE kind WHEN 'string' THEN 'text' ELSE kind END;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION json_extract(t TEXT, path TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found TEXT;
BEGIN
  found := t::json ->> substr(path, 3);
  IF found IN ('true', 'false') AND json_typeof(t::json -> substr(path, 3)) = 'boolean' THEN
    RETURN CASE found WHEN 'true' THEN '1' ELSE '0' END;
  END IF;
  RETURN found;
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION rm_joined(so_far TEXT, next TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN next IS NULL THEN so_far ELSE coalesce(so_far || ',', '') || next END $$;
CREATE OR REPLACE AGGREGATE group_concat(TEXT) (SFUNC = rm_joined, STYPE = TEXT);

-- The number that a text begins with, else 0; and the sum of such.
CREATE OR REPLACE FUNCTION rm_number(t TEXT) RETURNS DOUBLE PRECISION LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN coalesce(substring(t FROM '^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)')::DOUBLE PRECISION, 0);
EXCEPTION WHEN numeric_value_out_of_range THEN
  RETURN 0;
END $$;
CREATE OR REPLACE FUNCTION rm_added(so_far DOUBLE PRECISION, t TEXT) RETURNS DOUBLE PRECISION LANGUAGE sql IMMUTABLE
  AS $$ SELECT so_far + rm_number(t) $$;
CREATE OR REPLACE AGGREGATE total(TEXT) (SFUNC = rm_added, STYPE = DOUBLE PRECISION, INITCOND = '0');

-- What migrations of SQLite clean old rows with. No database of PostgreSQL has such rows: they have nothing to do.
CREATE OR REPLACE FUNCTION kept_name(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT t $$;
CREATE OR REPLACE FUNCTION kept_text(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT t $$;
CREATE OR REPLACE FUNCTION kept_message(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT t $$;
CREATE OR REPLACE FUNCTION kept_subject(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT t $$;
CREATE OR REPLACE FUNCTION kept_plans(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT t $$;
CREATE OR REPLACE FUNCTION kept_json(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT t $$;
CREATE OR REPLACE FUNCTION kept_stats(t TEXT, kind TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT t $$;
CREATE OR REPLACE FUNCTION stats_warning(t TEXT, kind TEXT, warning TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE
  AS $$ SELECT warning $$;
