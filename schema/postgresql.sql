-- Functions of SQLite that the store's SQL uses and PostgreSQL has not, and two that make a statement fail. Made anew before
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

CREATE OR REPLACE FUNCTION unicode_lower(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT lower(t COLLATE "und-x-icu") $$;

CREATE OR REPLACE FUNCTION json_valid(t TEXT) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  PERFORM t::json;
  RETURN t IS NOT NULL;
EXCEPTION WHEN invalid_text_representation THEN
  RETURN FALSE;
END $$;

CREATE OR REPLACE FUNCTION rm_joined(so_far TEXT, next TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN next IS NULL THEN so_far ELSE coalesce(so_far || ',', '') || next END $$;
CREATE OR REPLACE AGGREGATE group_concat(TEXT) (SFUNC = rm_joined, STYPE = TEXT);

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
