"""Backup and restore on real files: one moment, whole or not at all, and nothing lost on the way back."""

import base64
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rmactors.cli.main import main
from rmactors.server.config import data_dir, secrets
from rmactors.server.config.secrets import SecretBox
from rmactors.server.store import secret_rows
from tests.store.ledger import Ledger


class House:
    """A data dir with an alert, a channel with a sealed config, and a notification that waits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.database, self.key_file = folder / "rm.db", folder / "secret.key"
        self.box = SecretBox.load_or_create(self.key_file)
        ledger = Ledger(self.database)
        self.channel_id = ledger.channel()
        sealed = self.box.seal(b'{"url": "https://example.org"}', f"notification-channel:{self.channel_id}")
        ledger.connection.execute("UPDATE channels SET config = ?", (sealed,))
        self.alert_id = ledger.raise_(ledger.host())
        ledger.close()

    @property
    def raw_key(self) -> bytes:
        return secrets.read_keys(self.key_file)[0]

    def run(self, *arguments: str | Path, code: int = 0) -> Result:
        environment = {"RM_DATA_DIR": str(self.folder)}
        done = CliRunner().invoke(main, [str(part) for part in arguments], env=environment, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    def everything(self) -> dict[str, bytes]:
        """Every file and what is in it. The lock says nothing."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.name != "server.lock"}

    def alerts(self) -> list[str]:
        return [alert_id for (alert_id,) in rows(self.database, "SELECT id FROM alerts")]


def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "data")


@pytest.fixture
def empty(tmp_path: Path) -> House:
    """A data dir with nothing in it."""
    made = House(tmp_path / "other")
    for path in made.folder.iterdir():
        path.unlink()
    return made


def test_a_backup_beside_a_busy_writer_is_of_one_moment(house: House, tmp_path: Path) -> None:
    """The writer puts two rows into every transaction: a copy that saw half of one would have an odd number."""
    stop, started, written = threading.Event(), threading.Event(), []

    def write() -> None:
        with closing(sqlite3.connect(house.database, isolation_level=None, timeout=30)) as connection:
            number = 0
            while not stop.is_set():
                connection.execute("BEGIN IMMEDIATE")
                for half in "ab":
                    connection.execute("INSERT INTO facts VALUES (?, ?)", (f"{number}{half}", "x" * 1000))
                connection.execute("COMMIT")
                number += 1
                if number == 50:
                    started.set()
            written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert started.wait(30)
        house.run("backup", tmp_path / "copy")
    finally:
        stop.set()
        writer.join()
    [(count,)] = rows(tmp_path / "copy", "SELECT count(*) FROM facts")
    assert isinstance(count, int)
    assert count % 2 == 0
    assert 100 <= count <= 2 * written[0]
    assert rows(tmp_path / "copy", "PRAGMA integrity_check") == [("ok",)]


def test_a_backup_is_one_file_that_only_its_owner_reads(house: House, tmp_path: Path) -> None:
    target = tmp_path / "backups" / "copy"
    target.parent.mkdir()
    target.write_text("the one before")
    os.chmod(target, 0o644)
    house.run("backup", target)
    assert [path.name for path in target.parent.iterdir()] == ["copy"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert rows(target, "SELECT id FROM alerts") == [(house.alert_id,)]


def test_a_backup_that_fails_leaves_the_one_before(house: House, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    house.run("backup", target)
    before = target.read_bytes()
    with open(house.database, "r+b") as file:  # a page of the alerts' index, full of nothing
        file.seek(8 * 4096)
        file.write(b"\xff" * 40960)
    said = house.run("backup", target, code=1).output
    assert "not made" in said
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data"]


def test_the_key_is_in_the_file_only_where_that_was_asked_for(house: House, empty: House, tmp_path: Path) -> None:
    encoded = base64.b64encode(house.raw_key)
    said = house.run("backup", tmp_path / "without").output
    assert str(house.key_file) in said
    assert encoded not in (tmp_path / "without").read_bytes()
    house.run("backup", tmp_path / "with", "--with-key")
    assert encoded in (tmp_path / "with").read_bytes()
    empty.run("restore", tmp_path / "with")
    assert secrets.read_keys(empty.key_file) == [house.raw_key]
    assert stat.S_IMODE(empty.key_file.stat().st_mode) == 0o600
    assert encoded not in empty.database.read_bytes(), "the key left the database for its file"


def test_that_the_key_left_is_in_the_trail_or_it_does_not_leave(house: House, tmp_path: Path) -> None:
    told = "SELECT actor, actor_kind, result, detail FROM audit WHERE action = 'database.backup'"
    house.run("backup", tmp_path / "without")
    assert rows(house.database, told) == []
    house.run("backup", tmp_path / "with", "--with-key")
    row = ("rmactors backup", "system", "ok", f"with the key, into {tmp_path / 'with'}")
    assert rows(house.database, told) == [row]
    with closing(sqlite3.connect(house.database)) as db, db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no room'); END")
    said = house.run("backup", tmp_path / "second", "--with-key", code=1).output
    assert "no room" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "with", "without"]
    house.run("backup", tmp_path / "second")


def test_a_restored_database_is_the_one_that_was_copied(house: House, empty: House, tmp_path: Path) -> None:
    house.run("backup", tmp_path / "copy", "--with-key")
    said = empty.run("restore", tmp_path / "copy").output
    assert "1 notification waiting" in said
    assert empty.alerts() == [house.alert_id]
    assert stat.S_IMODE(empty.database.stat().st_mode) == 0o600
    assert rows(empty.database, "SELECT state FROM deliveries") == [("queued",)]
    assert rows(empty.database, "SELECT action, actor FROM audit ORDER BY n DESC LIMIT 1") == [
        ("database.restore", "rmactors restore")
    ]
    assert sorted(empty.everything()) == ["rm.db", "secret.key", "secret.key.lock"]


def test_a_plain_copy_of_a_stopped_servers_database_can_be_restored(house: House, empty: House, tmp_path: Path) -> None:
    (tmp_path / "rm.db").write_bytes(house.database.read_bytes())
    empty.key_file.write_bytes(house.key_file.read_bytes())
    empty.key_file.chmod(0o600)
    empty.run("restore", tmp_path / "rm.db")
    assert empty.alerts() == [house.alert_id]


def test_a_backup_without_the_key_needs_the_key_file_beside_it(house: House, empty: House, tmp_path: Path) -> None:
    house.run("backup", tmp_path / "copy")
    said = empty.run("restore", tmp_path / "copy", code=1).output
    assert "nothing was restored" in said
    assert "--forget-secrets" in said
    assert empty.everything() == {}
    SecretBox.load_or_create(empty.key_file)  # a key, but another one
    before = empty.everything()
    empty.run("restore", tmp_path / "copy", code=1)
    assert empty.everything() == before
    empty.key_file.write_bytes(house.key_file.read_bytes())
    empty.run("restore", tmp_path / "copy")
    assert empty.alerts() == [house.alert_id]


def test_with_a_lost_key_the_rest_can_be_restored(house: House, empty: House, tmp_path: Path) -> None:
    house.run("backup", tmp_path / "copy")
    said = empty.run("restore", tmp_path / "copy", "--forget-secrets").output
    assert "Given up: channel ops." in said
    assert empty.alerts() == [house.alert_id]
    assert rows(empty.database, "SELECT count(*) FROM channels") == [(0,)]
    assert rows(empty.database, "SELECT count(*) FROM deliveries") == [(0,)]


@pytest.mark.parametrize("damage", ["truncated", "scrambled", "text", "foreign", "newer", "missing", "orphan"])
def test_what_is_no_whole_backup_changes_nothing(house: House, empty: House, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "copy"
    house.run("backup", file, "--with-key")
    content = file.read_bytes()
    match damage:
        case "truncated":
            file.write_bytes(content[: len(content) // 2])
        case "scrambled":
            file.write_bytes(content[:20480] + b"\x07" * 20480 + content[40960:])
        case "text":
            file.write_text("hello\n" * 1000)
        case "foreign":
            file.unlink()
            with closing(sqlite3.connect(file)) as other:
                other.execute("CREATE TABLE a (x)")
        case "newer":
            with closing(sqlite3.connect(file)) as other, other:
                other.execute("INSERT INTO migrations VALUES (9000, '9000_future.sql', 0)")
        case "orphan":
            with closing(sqlite3.connect(file)) as other, other:
                other.execute("UPDATE alert_events SET alert_id = 'nobody'")
        case _:
            file.unlink()
    said = empty.run("restore", file, code=1).output
    assert "nothing was restored" in said
    assert "Traceback" not in said
    assert empty.everything() == {}
    before = house.everything()
    house.run("restore", file, "--replace", code=1)
    assert house.everything() == before


def test_what_is_there_is_replaced_only_when_told_so_and_kept(house: House, empty: House, tmp_path: Path) -> None:
    other = House(tmp_path / "third")
    house.run("backup", tmp_path / "copy", "--with-key")
    before = other.everything()
    assert "--replace" in other.run("restore", tmp_path / "copy", code=1).output
    assert other.everything() == before
    old_key = other.raw_key
    other.run("restore", tmp_path / "copy", "--replace")
    assert other.alerts() == [house.alert_id]
    [aside] = other.folder.glob("rm.db.replaced-*")
    assert rows(aside, "SELECT id FROM alerts") == [(other.alert_id,)]
    assert secrets.read_keys(other.key_file) == [house.raw_key, old_key], "the replaced database still opens"


def test_what_a_killed_server_left_in_its_log_is_kept_and_does_not_leak_into_the_new_one(
    house: House, tmp_path: Path
) -> None:
    house.run("backup", tmp_path / "copy", "--with-key")
    script = (
        "import os, sys; from pathlib import Path; from rmactors.server.store.engines.sqlite import connect;"
        "connection = connect(Path(sys.argv[1]));"
        "connection.execute(\"INSERT INTO facts VALUES ('late', 'x')\"); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, house.database], check=True, timeout=30)
    assert house.database.with_name("rm.db-wal").stat().st_size > 0
    house.run("restore", tmp_path / "copy", "--replace")
    assert rows(house.database, "SELECT count(*) FROM facts WHERE name = 'late'") == [(0,)]
    [aside] = house.folder.glob("rm.db.replaced-*Z")
    assert rows(aside, "SELECT value FROM facts WHERE name = 'late'") == [("x",)]


def test_nothing_is_restored_under_a_running_server(house: House, tmp_path: Path) -> None:
    house.run("backup", tmp_path / "copy", "--with-key")
    before = house.everything()
    with data_dir.locked(house.folder):
        assert data_dir.server_runs(house.folder)
        said = house.run("restore", tmp_path / "copy", "--replace", code=1).output
    assert "stop it first" in said
    assert house.everything() == before
    assert not data_dir.server_runs(house.folder)


DYING = """
import os, sys
from rmactors.cli import backup  # once, for all that are forked
from rmactors.cli.main import main

def dying(call):
    def either(*arguments, **options):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return call(*arguments, **options)
    return either

for line in sys.stdin:
    left = int(line)
    child = os.fork()
    if not child:
        for name in ("rename", "link", "fsync", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""


def test_a_kill_at_any_step_of_a_restore_leaves_a_whole_database_and_its_key(house: House, tmp_path: Path) -> None:
    """The process ends at its first, second, third … step on the disk, until it gets through."""
    other = House(tmp_path / "third")
    house.run("backup", tmp_path / "copy", "--with-key")
    command = [sys.executable, "-c", DYING, "restore", tmp_path / "copy", "--replace", "--data-dir", other.folder]
    ends, code = [], 9
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, bufsize=1
    ) as restores:
        assert restores.stdin is not None
        assert restores.stderr is not None
        while code == 9:
            restores.stdin.write(f"{len(ends)}\n")
            said = restores.stderr.readline()
            assert said.strip() in ("9", "0"), said
            code = int(said)
            [found] = other.alerts()
            ends.append(found)
            with closing(sqlite3.connect(other.database)) as connection:
                connection.row_factory = sqlite3.Row
                assert secret_rows.open_box(connection, other.key_file)
        restores.stdin.close()
    assert len(ends) > 6
    assert (ends[0], ends[-1]) == (other.alert_id, house.alert_id)
    assert ends == sorted(ends, key=[other.alert_id, house.alert_id].index), "once there, the new one stays"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RM_")]:
        monkeypatch.delenv(name)
