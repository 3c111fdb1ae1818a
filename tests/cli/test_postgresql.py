"""The commands and the server's start on a PostgreSQL: what will not do is one sentence, and no password is shown."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.postgres import PostgresServer, running_postgres
from harness.processes import COMMAND, environment, running_server
from rmactors import __version__
from rmactors.cli.main import main
from rmactors.common import clock
from rmactors.server import bootstrap
from rmactors.server.bootstrap import StartError
from rmactors.server.config import secrets
from rmactors.server.config.settings import Settings
from rmactors.server.store import leadership
from rmactors.server.store.database import PostgresError
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.engines.postgres import Lost, Session
from rmactors.server.store.offline import prepare
from rmactors.server.store.place import PostgresUrl
from tests.databases import PostgresDatabases

SECRET = "sehr-geheim"
OF_A_TEST_SERVER = {
    "fsync is off in PostgreSQL: a power cut may damage the database; set it to on",
    "synchronous_commit is off in PostgreSQL: what agents were told is safe can be lost when its machine fails; set it"
    " to on",
}


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("RM_", "PG"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def url(postgres_databases: PostgresDatabases) -> Iterator[PostgresUrl]:
    """A database that only this test has: some put migrations into it, or take them out."""
    name = f"cli{os.urandom(4).hex()}"
    yield postgres_databases.server.new_database(name)
    postgres_databases.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(url: PostgresUrl, tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), database_url=url.url)


def run(settings: Settings, *arguments: str) -> tuple[int, list[str]]:
    """Exit code, and the lines of both streams."""
    given = {"RM_DATA_DIR": settings.data_dir, "RM_DATABASE_URL": settings.database_url}
    done = CliRunner().invoke(main, list(arguments), env=given, catch_exceptions=False)
    return done.exit_code, done.output.splitlines()


def doctor(settings: Settings) -> tuple[set[str], list[str]]:
    """Faults, and all that was said."""
    _, lines = run(settings, "doctor")
    faults = {line.removeprefix("FAULT").strip() for line in lines if line.startswith("FAULT")}
    return faults - OF_A_TEST_SERVER, lines


def started(data: Path, url: str, program: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end at once."""
    return subprocess.run(
        [*(program or COMMAND), "server"], capture_output=True, text=True, timeout=120,
        env=environment({"RM_DATA_DIR": str(data), "RM_DATABASE_URL": url}),
    )  # fmt: skip


# ---- a start


@pytest.fixture(scope="module")
def over_tcp() -> Iterator[PostgresServer]:
    with running_postgres(tcp=True) as running:
        yield running


@pytest.mark.parametrize("wrong", ["port", "password", "database", "option"])
def test_a_postgresql_that_cannot_be_reached_is_one_sentence_without_the_password(
    over_tcp: PostgresServer, tmp_path: Path, wrong: str
) -> None:
    port = 1 if wrong == "port" else over_tcp.port
    own = over_tcp.url().url.split(":")[2].partition("@")[0]
    password = SECRET if wrong != "database" else own
    url = f"postgresql://admin:{password}@127.0.0.1:{port}/{'nowhere' if wrong == 'database' else 'postgres'}"
    done = started(tmp_path / "data", url + ("?sslmod=require" if wrong == "option" else ""))
    assert done.returncode == 1
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith(f"rmactors server: the database postgresql://admin@127.0.0.1:{port}/")
    assert "cannot be used: PostgreSQL cannot be reached: " in sentence
    assert password not in sentence


def test_without_its_library_every_command_names_the_extra(tmp_path: Path) -> None:
    script = "import sys; sys.modules['psycopg'] = None; from rmactors.cli.main import main; main(sys.argv[1:])"
    program = [sys.executable, "-c", script]
    url = f"postgresql://rm:{SECRET}@127.0.0.1:1/rm"
    given = environment({"RM_DATA_DIR": str(tmp_path / "data"), "RM_DATABASE_URL": url})
    said = [started(tmp_path / "data", url, program)]
    for words in (
        "backup copy", "doctor", "keys rotate", "move --to elsewhere", "admin create-api-token --name x --role admin",
    ):  # fmt: skip
        said.append(
            subprocess.run(
                [*program, *words.split()], capture_output=True, text=True, timeout=120, env=given, cwd=tmp_path
            )
        )
    for done in said:
        assert done.returncode == 1
        assert "pip install 'rmactors[postgresql]'" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stdout + done.stderr


def test_a_database_that_will_not_do_is_refused_by_start_command_and_doctor(
    postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    server = postgres_databases.server
    server.execute("CREATE DATABASE latin TEMPLATE template0 OWNER rm ENCODING 'LATIN1' LOCALE 'C'")
    try:
        settings = Settings(data_dir=str(tmp_path), database_url=server.url("latin", "rm").url)
        with pytest.raises(StartError, match=r"the database keeps texts as LATIN1 .*CREATE DATABASE … TEMPLATE"):
            bootstrap.open_data_dir(settings)
        code, lines = run(settings, "admin", "create-api-token", "--name", "x", "--role", "admin")
        assert code == 1
        assert lines[0].startswith(f"Error: {settings.place}: the database keeps texts as LATIN1")
        faults, _ = doctor(settings)
        [fault] = faults
        assert fault.startswith("the database keeps texts as LATIN1")
    finally:
        server.execute("DROP DATABASE latin WITH (FORCE)")


def test_who_starts_it_through_a_pooler_that_mixes_connections_is_told_so(url: PostgresUrl) -> None:
    """As others that use the connection in between would leave it; and as one that keeps answers back."""
    with closing(Session(url.url)) as session:
        session.execute("SELECT 1")
        session.execute("DEALLOCATE ALL")
        with pytest.raises(PostgresError) as gone:
            session.execute("SELECT 1")
    with closing(Session(url.url, patience=0.2)) as session, pytest.raises(Lost) as silent:
        session.execute("SELECT pg_sleep(5)")
    with closing(Session(url.url)) as session, pytest.raises(PostgresError) as unlike:
        session.execute("SELECT nothing_like_it")
    assert "does not exist; if a pooler is in between" in bootstrap.unusable(url, gone.value)
    assert "no answer for 0.2 s; if a pooler is in between" in bootstrap.unusable(url, silent.value)
    assert "pooler" not in bootstrap.unusable(url, unlike.value)


def test_a_newer_schema_and_another_key_are_refused(settings: Settings) -> None:
    box = bootstrap.open_data_dir(settings)
    with closing(connect(settings.place)) as db:
        db.execute(
            "INSERT INTO channels (id, kind, name, enabled, config, min_severity, events, host_tags, group_seconds,"
            " remind_hours, created_at, updated_at)"
            " VALUES ('C', 'webhook', 'ops', 0, ?, 'info', '[]', '[]', 0, 0, 0, 0)",
            (box.seal(b"{}", "notification-channel:C"),),
        )
        secrets.write_keys(settings.key_file, [bytes(32)])
        with pytest.raises(StartError, match=r"channel C: .* Put back the key file"):
            bootstrap.open_data_dir(settings)
        db.execute("INSERT INTO migrations VALUES (9000, '9000_future.sql', 0)")
    with pytest.raises(StartError, match="written by a newer"):
        bootstrap.open_data_dir(settings)
    faults, _ = doctor(settings)
    [fault] = faults
    assert "the database was written by a newer version (schema 9000)" in fault


def test_a_command_leaves_an_older_schema_as_it_is_while_a_node_leads(settings: Settings) -> None:
    place = prepare(settings)
    with closing(connect(place)) as db:
        db.execute("DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
        db.execute("UPDATE leader SET node = 'rm1', until_at = ?", (clock.now() + clock.MINUTE,))
    code, lines = run(settings, "admin", "create-api-token", "--name", "x", "--role", "admin")
    assert (code, lines) == (
        1, [f"Error: {place}: it is of an older version, and the node rm1 leads: upgrade that first"],
    )  # fmt: skip


# ---- a server that runs, and commands beside it


def test_a_server_runs_on_it_and_commands_work_beside(url: PostgresUrl, tmp_path: Path) -> None:
    with running_server(tmp_path / "server", database_url=url.url) as server:
        settings = Settings(data_dir=str(server.data_dir), database_url=url.url)
        code, lines = run(settings, "admin", "create-api-token", "--name", "x", "--role", "admin")
        assert code == 0
        assert lines[-1].startswith("rma_")
        assert not (server.data_dir / "rm.db").exists()
        assert (server.data_dir / "secret.key").exists()
        assert SECRET not in server.log
        code, lines = run(settings, "backup", str(tmp_path / "copy"))
        assert code == 0, lines
    with closing(connect(tmp_path / "copy")) as db:
        assert [tuple(row) for row in db.execute("SELECT name FROM api_tokens WHERE name = 'x'")] == [("x",)]


def test_the_settings_that_are_shown_hide_the_url(settings: Settings) -> None:
    given = {"RM_DATABASE_URL": f"postgresql://rm:{SECRET}@db/rm"}
    done = CliRunner().invoke(main, ["config", "check"], env=given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert SECRET not in done.output
    [line] = [line for line in done.output.splitlines() if line.startswith("database_url")]
    assert "(set, not shown)" in line


# ---- doctor


def test_of_a_healthy_one_only_what_the_tests_set_up_in_haste_is_a_fault(settings: Settings) -> None:
    bootstrap.open_data_dir(settings)
    faults, lines = doctor(settings)
    said = [line.partition(" ")[2].strip() for line in lines]
    assert faults == set()
    assert "no node leads" in said
    assert any(line.startswith("the database can be read: ") for line in said)
    assert "the clocks here and of PostgreSQL agree" in said
    assert not any("integrity" in line or "whole" in line or "log has" in line for line in said)
    with closing(connect(settings.place)) as db:
        db.execute("UPDATE leader SET node = 'rm1', url = 'http://rm1', until_at = ?", (clock.now() + clock.MINUTE,))
    _, lines = doctor(settings)
    assert any("the node rm1 leads (http://rm1)" in line for line in lines)


def test_before_the_first_start_doctor_says_so_and_makes_nothing(url: PostgresUrl, tmp_path: Path) -> None:
    faults, lines = doctor(Settings(data_dir=str(tmp_path), database_url=url.url))
    assert faults == set()
    assert any(f"there are no tables in {url} yet" in line for line in lines)
    with closing(connect(url)) as db:
        assert db.execute("SELECT to_regclass('migrations')").fetchone()[0] is None


def test_one_that_is_away_is_a_fault(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), database_url=f"postgresql://rm:{SECRET}@127.0.0.1:1/rm")
    faults, lines = doctor(settings)
    [fault] = faults
    assert fault.startswith("the database postgresql://rm@127.0.0.1:1/rm cannot be read: PostgreSQL cannot be reached:")
    assert SECRET not in "".join(lines)


# ---- doctor, of several nodes


def test_doctor_names_the_nodes_and_what_is_wrong_with_one(settings: Settings) -> None:
    prepare(settings)
    with closing(connect(settings.place)) as db:
        for name, keys, off, version in (
            ("rm1", ["k1"], 0, __version__), ("rm2", ["k1"], 0, __version__), ("rm3", ["k2"], 0, __version__),
            ("rm4", ["k1"], -3 * clock.SECOND, __version__), ("rm5", ["k1"], 11 * clock.SECOND, __version__),
            ("rm6", ["k1"], 0, "0.0.1"), ("rm7", [], 0, __version__),
        ):  # fmt: skip
            leadership.say(db, name, f"http://{name}", version, json.dumps(keys), off)
        leadership.take(db, "rm1", "http://rm1", 600)
        db.execute("UPDATE nodes SET seen_at = seen_at - ? WHERE name = 'rm7'", (3 * clock.MINUTE,))
    faults, lines = doctor(settings)
    about = {line.strip() for line in lines if " node" in line}
    assert about == {
        "note   the node rm1 leads (http://rm1)",
        "ok     the node rm2 waits (http://rm2)",
        "ok     the node rm3 waits (http://rm3)",
        "FAULT  the key file of the node rm3 is not the leader's: copy the leader's there, and finish a rotation of the"
        " key with `rmactors keys rotate`",
        "ok     the node rm4 waits (http://rm4)",
        "note   the clock of the node rm4 is 3.0 s behind PostgreSQL's: use NTP there",
        "ok     the node rm5 waits (http://rm5)",
        "FAULT  the clock of the node rm5 is 11.0 s ahead of PostgreSQL's: use NTP there",
        "ok     the node rm6 waits (http://rm6)",
        "note   the node rm6 has version 0.0.1, which is not the leader's",
        "note   the node rm7 was not seen for 3 minutes",
    }
    assert len([fault for fault in faults if "the node" in fault]) == 2
