"""`rmactors move`, and backups of a PostgreSQL: the same rows in either engine; a kill at any step changes nothing."""

import os
import select
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import past_fleet
from harness.postgres import PostgresServer, running_postgres
from harness.processes import eventually
from rmactors.cli.main import main
from rmactors.common import clock
from rmactors.server.config import data_dir, secrets
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.store import copying, secret_rows
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.migrations import migrate
from rmactors.server.store.offline import prepare
from rmactors.server.store.place import PostgresUrl
from tests.databases import PostgresDatabases
from tests.store.asked import any_rows

Rows = dict[str, Counter[tuple[object, ...]]]
OWN_MARKS = ("database.move", "database.restore", "database.backup")
"""Of the audit trail: what the commands themselves write."""
LINES = 20_000


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("RM_", "PG"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data dir with a month of a fleet, much output of one job, and channels with secrets."""
    made = tmp_path / "data"
    settings = Settings(data_dir=str(made))
    past_fleet.write(settings)
    box = SecretBox.load_or_create(settings.key_file)
    with closing(sqlite3.connect(settings.database)) as db, db:
        db.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
            " INSERT INTO job_logs (job_id, line, stream, text)"
            " SELECT (SELECT id FROM jobs LIMIT 1), 900000 + n, 'stdout', printf('line %d: \" ü 🦀 \\ %%', n) FROM n",
            (LINES,),
        )
        db.execute(
            "INSERT INTO channels (id, kind, name, enabled, config, min_severity, events, host_tags, group_seconds,"
            " remind_hours, created_at, updated_at) VALUES ('C', 'webhook', 'ops', 0, ?, 'info', '[]', '[]', 0.1, 1e-7,"
            " 1, 9223372036854775807)",
            (box.seal(b"{}", "notification-channel:C"),),
        )
    return made


@pytest.fixture
def empty(postgres_databases: PostgresDatabases) -> Iterator[PostgresUrl]:
    """A database without tables."""
    name = f"empty{os.urandom(4).hex()}"
    yield postgres_databases.server.new_database(name)
    postgres_databases.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(folder: Path, *arguments: str | Path, url: PostgresUrl | None = None, code: int = 0) -> Result:
    environment = {"RM_DATA_DIR": str(folder)} | ({"RM_DATABASE_URL": url.url} if url else {})
    done = CliRunner().invoke(main, [str(part) for part in arguments], env=environment, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def everything(database: Path) -> Rows:
    """Every row of every table, with its types; not what the commands here have written into the audit trail."""
    with closing(sqlite3.connect(database)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in names if name != "backup_made"}
        columns = [row[1] for row in db.execute("PRAGMA table_info(audit)")]
    action = columns.index("action")
    found["audit"] = [row for row in found["audit"] if row[action] not in OWN_MARKS]
    return {name: Counter((*row, *(type(value) for value in row)) for row in rows) for name, rows in found.items()}


def holds_nothing(url: PostgresUrl) -> bool:
    with closing(connect(url)) as db:
        return (
            db.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone()[0] == 0
        )


def count(url: PostgresUrl, table: str) -> int:
    with closing(connect(url)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# ---- there and back


def test_what_goes_to_postgresql_and_comes_back_is_equal_table_by_table(
    folder: Path, empty: PostgresUrl, tmp_path: Path
) -> None:
    before = everything(folder / "rm.db")
    assert sum(found.total() for found in before.values()) > LINES + 200
    assert sum(found.total() > 0 for found in before.values()) > 12
    said = run(folder, "move", "--to", empty.url).output
    assert f"are in {empty} now" in said
    assert "Set RM_DATABASE_URL" in said
    assert everything(folder / "rm.db") == before, "the source stays as it is"
    said = run(folder, "move", "--to", tmp_path / "back", url=empty).output
    assert "unset RM_DATABASE_URL" in said
    assert everything(tmp_path / "back" / "rm.db") == before
    assert stat.S_IMODE((tmp_path / "back" / "rm.db").stat().st_mode) == 0o600
    assert secrets.read_keys(tmp_path / "back" / "secret.key") == secrets.read_keys(folder / "secret.key")
    with closing(sqlite3.connect(tmp_path / "back" / "rm.db")) as db:
        trail = db.execute("SELECT actor, action, detail FROM audit ORDER BY n DESC LIMIT 2").fetchall()
    assert trail == [
        ("rmactors move", "database.move", f"from {empty}"),
        ("rmactors move", "database.move", f"from {folder / 'rm.db'}"),
    ]


def test_rows_of_every_table_are_the_same_after_both_ways(empty: PostgresUrl, tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"))
    with closing(connect(prepare(settings))) as db:
        any_rows.fill(db, 5)
        for table in ("setup_tokens", "spent_once"):
            columns = [row[1:3] for row in db.execute(f"PRAGMA table_info({table})")]
            any_rows.insert(db, table, {name: "x" if kind == "TEXT" else 7 for name, kind in columns})
        box = SecretBox.load_or_create(settings.key_file)
        for (channel_id,) in db.execute("SELECT id FROM channels").fetchall():
            sealed = box.seal(os.urandom(300), f"notification-channel:{channel_id}")
            db.execute("UPDATE channels SET config = ? WHERE id = ?", (sealed, channel_id))
        db.execute("UPDATE users SET totp_secret = NULL")
    before = everything(settings.database)
    assert {name for name, rows in before.items() if not rows} <= set(copying.OF_THE_PLACE)
    assert sum(rows.total() for rows in before.values()) > 2000
    run(tmp_path / "data", "move", "--to", empty.url)
    run(tmp_path / "data", "move", "--to", tmp_path / "back", url=empty)
    after = everything(tmp_path / "back" / "rm.db")
    assert {name for name in before if before[name] != after[name]} <= set(copying.OF_THE_PLACE)


def test_from_one_postgresql_to_another(
    folder: Path, postgres_databases: PostgresDatabases, empty: PostgresUrl, tmp_path: Path
) -> None:
    before = everything(folder / "rm.db")
    run(folder, "move", "--to", empty.url)
    other = postgres_databases.server.new_database("other")
    try:
        run(folder, "move", "--to", other.url, url=empty)
        run(folder, "backup", tmp_path / "copy", url=other)
    finally:
        postgres_databases.server.execute("DROP DATABASE other WITH (FORCE)")
    assert everything(tmp_path / "copy") == before


def test_a_database_that_was_started_once_and_used_by_nobody_counts_as_empty(folder: Path, empty: PostgresUrl) -> None:
    with closing(connect(empty)) as db:
        migrate(db)
        db.execute("INSERT INTO facts VALUES ('pulse', '1')")
        db.execute("INSERT INTO setup_tokens (token_hash, created_at, expires_at) VALUES ('x', 1, 2)")
        db.execute("UPDATE leader SET epoch = 7, node = 'a'")
    run(folder, "move", "--to", empty.url)
    with closing(connect(empty)) as db:
        assert db.execute("SELECT count(*) FROM facts WHERE name = 'pulse' AND value = '1'").fetchone()[0] == 0
        assert db.execute("SELECT epoch FROM leader").fetchone()[0] == 7, "an epoch never goes back"


# ---- what is refused


def test_a_database_that_holds_something_is_not_touched(folder: Path, empty: PostgresUrl, tmp_path: Path) -> None:
    run(folder, "move", "--to", empty.url)
    rows = count(empty, "jobs")
    said = run(folder, "move", "--to", empty.url, code=1).output
    assert "holds rows already" in said
    assert "make an empty database" in said
    run(folder, "backup", tmp_path / "copy", "--with-key")
    said = run(folder, "restore", tmp_path / "copy", "--replace", url=empty, code=1).output
    assert "make an empty database" in said
    assert count(empty, "jobs") == rows
    said = run(folder, "move", "--to", folder, url=empty, code=1).output
    assert "is there already" in said


def test_nothing_moves_while_a_server_runs_on_either(folder: Path, empty: PostgresUrl, tmp_path: Path) -> None:
    with data_dir.locked(folder):
        assert "stop it first" in run(folder, "move", "--to", empty.url, code=1).output
    assert holds_nothing(empty)
    run(folder, "move", "--to", empty.url)
    with closing(connect(empty)) as db:
        db.execute("UPDATE leader SET node = 'rm1', until_at = ?", (clock.now() + clock.MINUTE,))
        for arguments in (("move", "--to", tmp_path / "back"), ("restore", tmp_path / "copy")):
            run(folder, "backup", tmp_path / "copy", "--with-key")
            said = run(folder, *arguments, url=empty, code=1).output
            assert "the node rm1 leads on that database: stop every node first" in said
        db.execute("UPDATE leader SET until_at = ?", (clock.now() - clock.SECOND,))
    with data_dir.locked(tmp_path / "back"):
        assert "stop it first" in run(folder, "move", "--to", tmp_path / "back", url=empty, code=1).output
    assert not (tmp_path / "back" / "rm.db").exists()
    run(folder, "move", "--to", tmp_path / "back", url=empty)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("mysql://host/x", "must be a URL that begins with postgresql://, or a folder"),
        ("", "must be a URL that begins with postgresql://, or a folder"),
        ("postgresql://u:sehr@geheim@host/x", "must be written with its code"),
        ("elsewhere", "use `rmactors backup` and `rmactors restore`"),
    ],
)
def test_a_target_that_is_none_is_refused(
    folder: Path, to: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(folder, "move", "--to", to, code=1).output
    assert said in found
    assert "geheim" not in found
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_database_is_not_moved_onto_itself(folder: Path, empty: PostgresUrl) -> None:
    run(folder, "move", "--to", empty.url)
    assert "are the same" in run(folder, "move", "--to", empty.url, url=empty, code=1).output


def test_with_another_key_than_the_secrets_need_nothing_moves(folder: Path, empty: PostgresUrl) -> None:
    secrets.write_keys(folder / "secret.key", [os.urandom(32)])
    assert "Put back the key file" in run(folder, "move", "--to", empty.url, code=1).output
    assert holds_nothing(empty)


def test_a_database_of_an_older_version_is_not_moved(folder: Path, empty: PostgresUrl) -> None:
    with closing(sqlite3.connect(folder / "rm.db")) as db, db:
        db.execute("DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
    assert "is of an older version" in run(folder, "move", "--to", empty.url, code=1).output
    assert holds_nothing(empty)


def test_a_text_that_postgresql_cannot_hold_is_named_and_nothing_moves(folder: Path, empty: PostgresUrl) -> None:
    with closing(sqlite3.connect(folder / "rm.db")) as db, db:
        db.execute("UPDATE job_logs SET text = 'a' || char(0) || 'b' WHERE rowid = (SELECT max(rowid) FROM job_logs)")
    said = run(folder, "move", "--to", empty.url, code=1).output
    assert "PostgreSQL does not take a row of job_logs: a text with a NUL character" in said
    assert holds_nothing(empty)


# ---- backup and restore


def test_a_backup_of_a_postgresql_is_the_file_that_sqlite_makes(
    folder: Path, empty: PostgresUrl, postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    before = everything(folder / "rm.db")
    run(folder, "move", "--to", empty.url)
    said = run(folder, "backup", tmp_path / "copy", "--with-key", url=empty).output
    assert "checked" in said
    assert everything(tmp_path / "copy") == before
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    with closing(connect(empty)) as db:
        [row] = db.execute("SELECT actor, detail FROM audit WHERE action = 'database.backup'").fetchall()
    assert tuple(row) == ("rmactors backup", f"with the key, into {tmp_path / 'copy'}")
    run(tmp_path / "lite", "restore", tmp_path / "copy")
    assert everything(tmp_path / "lite" / "rm.db") == before
    other = postgres_databases.server.new_database("restored")
    try:
        said = run(tmp_path / "post", "restore", tmp_path / "copy", url=other).output
        assert f"{other} is the backup of" in said
        assert sorted(path.name for path in (tmp_path / "post").iterdir()) == [
            "secret.key", "secret.key.lock", "server.lock",
        ]  # fmt: skip
        run(tmp_path / "post", "backup", tmp_path / "second", url=other)
        assert everything(tmp_path / "second") == before
        with closing(connect(other)) as db:
            assert secret_rows.check_rows(db, SecretBox(tmp_path / "post" / "secret.key")) == 1
            [row] = db.execute("SELECT actor FROM audit WHERE action = 'database.restore'").fetchall()
            known = db.execute("SELECT reltuples FROM pg_class WHERE relname = 'job_logs'").fetchone()[0]
        assert row[0] == "rmactors restore"
        assert known >= LINES, "plans are made for what is there"
    finally:
        postgres_databases.server.execute("DROP DATABASE restored WITH (FORCE)")


def test_a_backup_beside_a_writer_is_of_one_moment(folder: Path, empty: PostgresUrl, tmp_path: Path) -> None:
    """What is committed after the snapshot was taken is not in it, though its table is read later."""
    run(folder, "move", "--to", empty.url)
    with closing(connect(empty)) as source, closing(connect(empty)) as writer:
        assert not isinstance(source, sqlite3.Connection)
        copying.require_tables(source)
        source.begin_reading()
        numbers = copying.numbers(source)
        writer.execute("INSERT INTO facts VALUES ('late', 'x')")
        with closing(sqlite3.connect(tmp_path / "copy", isolation_level=None)) as target:
            migrate(target, only=numbers)
            target.execute("BEGIN")
            copying.copy(source, target, copying.tables(numbers))
            target.execute("COMMIT")
            assert target.execute("SELECT count(*) FROM facts WHERE name = 'late'").fetchone() == (0,)
            assert target.execute("SELECT count(*) FROM job_logs").fetchone()[0] >= LINES


def test_there_is_no_backup_of_what_is_not_there(folder: Path, empty: PostgresUrl, tmp_path: Path) -> None:
    said = run(folder, "backup", tmp_path / "copy", url=empty, code=1).output
    assert "there is no database of restic-manager's in it yet" in said
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_restore_without_its_key_leaves_postgresql_empty(folder: Path, empty: PostgresUrl, tmp_path: Path) -> None:
    run(folder, "backup", tmp_path / "copy")
    said = run(tmp_path / "post", "restore", tmp_path / "copy", url=empty, code=1).output
    assert "--forget-secrets" in said
    assert holds_nothing(empty)
    assert not (tmp_path / "post" / "secret.key").exists()
    said = run(tmp_path / "post", "restore", tmp_path / "copy", "--forget-secrets", url=empty).output
    assert "Given up: channel ops." in said
    assert count(empty, "channels") == 0


def test_the_key_is_rotated_on_postgresql(folder: Path, empty: PostgresUrl) -> None:
    run(folder, "move", "--to", empty.url)
    [old] = secrets.read_keys(folder / "secret.key")
    assert "1 secrets encrypted with a new key" in run(folder, "keys", "rotate", url=empty).output
    [new] = secrets.read_keys(folder / "secret.key")
    assert new != old
    with closing(connect(empty)) as db:
        assert secret_rows.check_rows(db, secret_rows.open_box(db, folder / "secret.key")) == 1
        [row] = db.execute("SELECT detail FROM audit WHERE action = 'key.rotate'").fetchall()
        secrets.write_keys(folder / "secret.key", [old])
        with pytest.raises(secrets.SecretError, match="has replaced"):
            secret_rows.open_box(db, folder / "secret.key")
    assert row[0] == "1 secrets sealed again"


# ---- a connection that breaks


class CutAtCommit:
    """Between a command and a PostgreSQL: hands on what both say, COMMIT too, and hangs up before its answer."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        named = False
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    said = ready.recv(1 << 16)
                    (server if ready is client else client).sendall(said)
                    if not said or (ready is client and named):
                        server.shutdown(socket.SHUT_WR)
                        while server.recv(1 << 16):  # until PostgreSQL is done with it
                            pass
                        return
                    named = named or (ready is client and b"COMMIT" in said)  # first it is prepared

    def close(self) -> None:
        self._listener.close()
        self._thread.join(30)


def test_a_connection_that_breaks_at_the_end_is_said_as_what_it_is(folder: Path) -> None:
    with running_postgres(tcp=True) as server:
        url = server.new_database("moved")
        proxy = CutAtCommit(server.port)
        try:
            through = url.url.replace(f":{server.port}/", f":{proxy.port}/")
            said = run(folder, "move", "--to", f"{through}?sslmode=disable&gssencmode=disable", code=1).output
        finally:
            proxy.close()
        assert "it is not known whether all is there" in said
        assert "nothing was moved" not in said
        assert "holds rows already" in run(folder, "move", "--to", url.url, code=1).output
        assert count(url, "job_logs") >= LINES


# ---- a kill at any step

DYING = """
import os, signal, sys
from rmactors.cli import backup  # once, for all that are forked
from rmactors.cli.main import main
from rmactors.server.store.engines.postgres import Session

steps = 0

def dying(call):
    def either(*arguments, **options):
        global left, steps
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        steps += 1
        return call(*arguments, **options)
    return either

for line in sys.stdin:
    left, *arguments = line.split()
    left = int(left)
    child = os.fork()
    if not child:
        for name in ("rename", "fsync", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        Session.send = dying(Session.send)
        try:
            main(arguments)
        finally:
            print("steps", steps, file=sys.stderr, flush=True)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""


class Dying:
    """Commands in a real process, which is killed at a step: a statement that is sent, a change in a folder."""

    def __init__(self, folder: Path, url: PostgresUrl | None = None) -> None:
        settings = {"RM_DATA_DIR": str(folder)} | ({"RM_DATABASE_URL": url.url} if url else {})
        self.process = subprocess.Popen(
            [sys.executable, "-c", DYING], stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True, bufsize=1, env={**os.environ, **settings},
        )  # fmt: skip

    def steps(self, *arguments: str | Path) -> int:
        """Of the command, when nothing kills it."""
        lines = self._run(-1, *arguments)
        assert lines[-1] == "ended 0", lines
        [steps] = [int(line.split()[1]) for line in lines if line.startswith("steps")]
        return steps

    def kill_at(self, step: int, *arguments: str | Path) -> bool:
        """Whether it was killed: else it got through."""
        lines = self._run(step, *arguments)
        assert lines[-1] in (f"ended -{int(signal.SIGKILL)}", "ended 0"), lines
        return lines[-1] != "ended 0"

    def _run(self, left: int, *arguments: str | Path) -> list[str]:
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.write(f"{left} {' '.join(map(str, arguments))}\n")
        lines: list[str] = []
        while not lines or not lines[-1].startswith("ended"):
            line = self.process.stderr.readline()
            assert line, lines
            lines.append(line.strip())
        return lines

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)
        assert self.process.stderr is not None
        self.process.stderr.close()


def spread(steps: int) -> list[int]:
    """A dozen over the whole command, and each of the last six."""
    return sorted({*range(0, steps, max(1, steps // 12)), *range(steps - 6, steps)})


def nobody_is_left(server: PostgresServer, database: str) -> None:
    """Waits until PostgreSQL has noticed that the killed one is gone, and what it had begun has ended."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    eventually(lambda: server.execute(asked, (database,)) == [(0,)], 30, lambda: "the killed one is still connected")


def test_a_kill_at_any_step_of_a_move_leaves_postgresql_empty_or_whole(
    folder: Path, postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    server = postgres_databases.server
    before = everything(folder / "rm.db")
    url, scratch = server.new_database("killed"), server.new_database("scratch")
    moves = Dying(folder)
    empty_after = 0
    try:
        steps = moves.steps("move", "--to", scratch.url)
        assert steps > 200
        for step in spread(steps):
            assert moves.kill_at(step, "move", "--to", url.url)
            nobody_is_left(server, "killed")
            assert everything(folder / "rm.db") == before
            if not holds_nothing(url):  # COMMIT was there already
                break
            empty_after += 1
        else:
            assert not moves.kill_at(steps, "move", "--to", url.url)
        run(folder, "backup", tmp_path / "copy", url=url)
        assert everything(tmp_path / "copy") == before
    finally:
        moves.close()
        for name in ("killed", "scratch"):
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert empty_after > 10


def test_a_kill_at_any_step_of_the_way_back_leaves_no_database_or_a_whole_one(
    folder: Path, empty: PostgresUrl, tmp_path: Path
) -> None:
    before = everything(folder / "rm.db")
    run(folder, "move", "--to", empty.url)
    moves = Dying(folder, empty)
    target = tmp_path / "back"
    none_after = 0
    try:
        steps = moves.steps("move", "--to", tmp_path / "scratch")
        assert steps > 60
        for step in spread(steps):
            assert moves.kill_at(step, "move", "--to", target)
            if (target / "rm.db").exists():
                break
            none_after += 1
        else:
            assert not moves.kill_at(steps, "move", "--to", target)
    finally:
        moves.close()
    assert none_after > 8
    assert everything(target / "rm.db") == before
    with closing(sqlite3.connect(target / "rm.db")) as db:
        db.row_factory = sqlite3.Row
        assert secret_rows.check_rows(db, SecretBox(target / "secret.key")) == 1
    with data_dir.locked(target):
        assert not list(target.glob("*.moving-journal"))


def test_a_kill_near_the_end_of_a_restore_leaves_postgresql_empty_or_whole_with_its_key(
    folder: Path, postgres_databases: PostgresDatabases, tmp_path: Path
) -> None:
    """The key file gets its keys before all is committed: at no step is there a database without its key."""
    server = postgres_databases.server
    before = everything(folder / "rm.db")
    run(folder, "backup", tmp_path / "copy", "--with-key")
    url, scratch = server.new_database("killed"), server.new_database("scratch")
    target = tmp_path / "post"
    restores, first = Dying(target, url), Dying(tmp_path / "first", scratch)
    empty_after = 0
    try:
        steps = first.steps("restore", tmp_path / "copy")
        for step in [steps // 2, *range(steps - 10, steps + 1)]:
            killed = restores.kill_at(step, "restore", tmp_path / "copy")
            nobody_is_left(server, "killed")
            if count_or_none(url, "jobs"):
                break
            assert killed
            empty_after += 1
        with closing(connect(url)) as db:
            assert secret_rows.check_rows(db, SecretBox(target / "secret.key")) == 1
        run(target, "backup", tmp_path / "second", url=url)
        assert everything(tmp_path / "second") == before
    finally:
        restores.close()
        first.close()
        for name in ("killed", "scratch"):
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert empty_after > 3


def count_or_none(url: PostgresUrl, table: str) -> int | None:
    return None if holds_nothing(url) else count(url, table)
