"""An upgrade of a database on PostgreSQL: it has the time that it needs, and says so where somebody is in its way."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rmactors.server.config import resources
from rmactors.server.store.engines import postgres
from rmactors.server.store.engines.postgres import Lost, Session
from rmactors.server.store.migrations import MigrationError, migrate
from rmactors.server.store.place import PostgresUrl

PATIENCE = 3.0
"""Seconds: much longer than anything else takes here, also on a busy machine."""


@pytest.fixture
def session(postgres_place: PostgresUrl) -> Iterator[Session]:
    with closing(Session(postgres_place.url, patience=PATIENCE)) as opened:
        yield opened


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """The schema of this version, to which a test adds the next one's."""
    return Path(shutil.copytree(resources.path("schema"), tmp_path / "schema"))


def test_a_statement_of_an_upgrade_may_take_longer_than_any_other(session: Session, schema: Path) -> None:
    slow = f"(SELECT pg_sleep({2 * PATIENCE}) OFFSET 0) AS slow"
    (schema / "0999_large.sql").write_text(f"CREATE TABLE large AS SELECT 1 AS n FROM {slow};\n")
    session.execute("SET statement_timeout = '3s'")  # as an administrator may have set it for the role
    assert migrate(session, schema) == ["0999_large.sql"]
    assert session.execute("SELECT n FROM large").fetchone()[0] == 1
    session.execute("SET statement_timeout = 0")
    with pytest.raises(Lost, match="no answer for 3 s"):
        session.execute(f"SELECT pg_sleep({2 * PATIENCE})")


@pytest.mark.parametrize("table", ["migrations", "facts"])
def test_a_table_that_somebody_keeps_locked_is_said_with_what_to_do(
    session: Session, schema: Path, postgres_place: PostgresUrl, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.setattr(postgres, "SCHEMA_LOCK_SECONDS", 0.1)
    (schema / "0999_next.sql").write_text("ALTER TABLE facts ADD COLUMN next TEXT;\n")
    with closing(Session(postgres_place.url)) as other:
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {table} IN SHARE MODE")
        with pytest.raises(MigrationError, match=r"another session keeps a table .* locked\. End it .* start again"):
            migrate(session, schema)
        assert not session.in_transaction
        other.execute("ROLLBACK")
    assert migrate(session, schema) == ["0999_next.sql"]
