"""`rmactors keys rotate`: every secret moves to a new key, and a kill at any instant is harmless."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from rmactors.server.config import secrets
from rmactors.server.config.secrets import SecretBox, SecretError, key_id_of
from rmactors.server.store import secret_rows
from rmactors.server.store.database import Connection
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place, PostgresUrl
from rmactors.server.store.transaction import StaleWrite, Transaction, atomic, begin_writing, end

CHANNEL = "INSERT INTO channels (id, kind, name, enabled, config, min_severity, events, host_tags, group_seconds, remind_hours, created_at, updated_at) VALUES (?, 'webhook', 'ops', 1, ?, 'info', '[]', '[]', 0, 0, 0, 0)"  # noqa: E501
USER = "INSERT INTO users (id, username, username_key, password_hash, role, totp_secret, created_at) VALUES (?, ?, ?, 'x', 'admin', ?, 0)"  # noqa: E501


class DataDir:
    """A data dir, and a database with sealed rows, as a server would leave them."""

    def __init__(self, folder: Path, place: Place, channels: int, users: int) -> None:
        self.folder, self.place = folder, place
        self.key_file = folder / "secret.key"
        self.db = connect(place)
        migrate(self.db)
        self.box = SecretBox.load_or_create(self.key_file)
        with atomic(self.db):
            for number in range(channels):
                self.add_channel(f"channel{number:05d}", self.box)
            for number in range(users):
                name = f"user{number}"
                sealed = self.box.seal(b"totp of " + name.encode(), f"totp:{name}") if number else None
                self.db.execute(USER, (name, name, name, sealed))

    def add_channel(self, channel_id: str, box: SecretBox) -> None:
        sealed = box.seal(f"config of {channel_id}".encode(), f"notification-channel:{channel_id}")
        self.db.execute(CHANNEL, (channel_id, sealed))

    def rotate(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(), capture_output=True, text=True, env=self.environment(), timeout=30)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "rmactors", "keys", "rotate"]

    def environment(self) -> dict[str, str]:
        url = {"RM_DATABASE_URL": self.place.url} if isinstance(self.place, PostgresUrl) else {}
        return {**os.environ, "RM_DATA_DIR": str(self.folder), **url}

    def opens(self) -> int:
        """How many rows open with the key file as it is on disk; raises where one does not."""
        box = SecretBox(self.key_file)
        for channel_id, sealed in self.db.execute("SELECT id, config FROM channels"):
            assert box.open(sealed, f"notification-channel:{channel_id}") == f"config of {channel_id}".encode()
        return secret_rows.check_rows(self.db, box)


@pytest.fixture
def data(tmp_path: Path, place: Place) -> Iterator[DataDir]:
    made = DataDir(tmp_path, place, channels=120, users=3)
    yield made
    made.db.close()


def test_every_row_moves_to_a_new_key_and_the_old_one_leaves_the_file(data: DataDir) -> None:
    [old] = secrets.read_keys(data.key_file)
    before = {row[0] for row in data.db.execute("SELECT config FROM channels")}
    done = data.rotate()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"122 secrets encrypted with a new key in {data.key_file}. Back it up.\n"
    [new] = secrets.read_keys(data.key_file)
    assert new != old
    after = {row[0] for row in data.db.execute("SELECT config FROM channels")}
    assert {key_id_of(sealed) for sealed in after} == {secrets.key_id(new)}
    assert before.isdisjoint(after)
    assert data.opens() == 122
    assert data.key_file.stat().st_mode & 0o777 == 0o600


def test_it_is_in_the_audit_without_anything_secret(data: DataDir) -> None:
    data.rotate()
    [row] = data.db.execute("SELECT actor, actor_kind, action, detail FROM audit").fetchall()
    assert tuple(row) == ("keys rotate", "system", "key.rotate", "122 secrets sealed again")


def test_a_running_server_goes_on_before_during_and_after(data: DataDir) -> None:
    """Its box was made under the old key; its writer holds the database open."""
    old = data.box.current_key_id
    assert data.rotate().returncode == 0
    data.add_channel("new", data.box)
    assert data.box.current_key_id != old
    assert secret_rows.check_rows(data.db, data.box) == 123
    assert data.opens() == 123


def test_a_key_file_elsewhere_is_rotated_there(data: DataDir, tmp_path: Path) -> None:
    elsewhere = tmp_path / "keys" / "rm.key"
    elsewhere.parent.mkdir()
    data.key_file.rename(elsewhere)
    done = subprocess.run(
        data.command(), capture_output=True, text=True, env={**data.environment(), "RM_SECRET_KEY_FILE": str(elsewhere)}
    )
    data.key_file = elsewhere
    assert done.returncode == 0
    assert data.opens() == 122


def test_one_that_runs_lets_the_next_one_wait(data: DataDir) -> None:
    both = [
        subprocess.Popen(data.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=data.environment())
        for _ in range(2)
    ]
    ends = [(one.communicate(timeout=30), one.returncode) for one in both]
    assert [code for _, code in ends] == [0, 0], ends
    assert data.opens() == 122
    assert len(secrets.read_keys(data.key_file)) == 1


class TestWhatCannotBe:
    def test_without_a_database_it_says_where_it_looked(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "rmactors", "keys", "rotate", "--data-dir", str(tmp_path / "none")],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "there is no database at" in done.stderr
        assert not (tmp_path / "none").exists()

    def test_with_the_wrong_key_nothing_changes(self, data: DataDir) -> None:
        kept = data.key_file.read_bytes()
        secrets.write_keys(data.key_file, [os.urandom(32)])
        wrong = data.key_file.read_bytes()
        done = data.rotate()
        assert done.returncode == 1
        assert "channel channel00000: the secret of" in done.stderr
        assert data.key_file.read_bytes() == wrong
        data.key_file.write_bytes(kept)
        assert data.opens() == 122

    def test_without_its_key_nothing_changes(self, data: DataDir) -> None:
        data.key_file.unlink()
        done = data.rotate()
        assert done.returncode == 1
        assert "cannot be read" in done.stderr
        assert not data.key_file.exists()

    def test_one_row_that_does_not_open_stops_it_before_it_begins(self, data: DataDir) -> None:
        kept = data.key_file.read_bytes()
        data.db.execute("UPDATE channels SET config = ? WHERE id = 'channel00007'", (bytes(60),))
        done = data.rotate()
        assert done.returncode == 1
        assert "channel channel00007" in done.stderr
        assert data.key_file.read_bytes() == kept


class TestStartUp:
    def test_a_fresh_data_dir_gets_a_key(self, tmp_path: Path, place: Place) -> None:
        data = DataDir(tmp_path, place, 0, 1)
        data.key_file.unlink()
        box = secret_rows.open_box(data.db, data.key_file)
        data.db.close()
        assert data.key_file.exists()
        assert box.current_key_id

    def test_a_missing_key_is_an_error_and_no_new_one_takes_its_place(self, data: DataDir) -> None:
        data.key_file.unlink()
        with pytest.raises(SecretError, match="is missing, and the database holds secrets"):
            secret_rows.open_box(data.db, data.key_file)
        assert not data.key_file.exists()

    def test_a_wrong_key_is_an_error_that_names_the_row(self, data: DataDir) -> None:
        secrets.write_keys(data.key_file, [os.urandom(32)])
        with pytest.raises(SecretError, match=r"channel channel00000: .* Put back the key file"):
            secret_rows.open_box(data.db, data.key_file)

    def test_a_key_that_was_rotated_out_is_an_error_even_where_nothing_is_sealed(self, data: DataDir) -> None:
        kept = data.key_file.read_bytes()
        data.rotate()
        data.db.execute("DELETE FROM channels")
        data.db.execute("UPDATE users SET totp_secret = NULL")
        data.key_file.write_bytes(kept)
        with pytest.raises(SecretError, match="has replaced"):
            secret_rows.open_box(data.db, data.key_file)

    def test_an_interrupted_rotation_starts_as_it_is(self, data: DataDir) -> None:
        secrets.write_keys(data.key_file, [os.urandom(32), *secrets.read_keys(data.key_file)])
        box = secret_rows.open_box(data.db, data.key_file)
        assert secret_rows.check_rows(data.db, box) == 122


def test_what_was_sealed_before_a_rotation_and_comes_after_it_is_stale(data: DataDir) -> None:
    """Else it would need a key that is gone. `Stale` makes the asker seal it again."""
    late = data.box.seal(b"x", "notification-channel:late")
    assert data.rotate().returncode == 0
    tx = Transaction(data.db, {})
    with pytest.raises(StaleWrite, match="seal it again"):
        secret_rows.require_live_key(tx, late)
    secret_rows.require_live_key(tx, data.box.seal(b"x", "notification-channel:late"))
    secret_rows.require_live_key(tx, None)


def test_sigkill_at_any_instant_is_harmless(tmp_path: Path, place: Place) -> None:
    """The command is killed again and again at random instants, while a server's box goes on sealing.

    After each kill every row opens with the file on disk; at the end one call finishes what was begun.
    """
    data = DataDir(tmp_path, place, channels=1500, users=2)
    dice = random.Random(7)
    interrupted = 0
    for number in range(12):
        before = data.key_file.stat().st_ino
        process = subprocess.Popen(data.command(), stdout=subprocess.DEVNULL, env=data.environment())
        while data.key_file.stat().st_ino == before and process.poll() is None:
            time.sleep(0.0005)  # until it begins: starting Python takes longer than all the rest
        time.sleep(dice.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.wait()
        data.add_channel(f"during{number}", data.box)
        assert data.opens() == 1501 + number + 1
        interrupted += len(secrets.read_keys(data.key_file)) > 1
    assert interrupted > 0
    assert data.rotate().returncode == 0
    assert len(secrets.read_keys(data.key_file)) == 1
    assert data.opens() == 1513
    data.db.close()


@pytest.mark.parametrize("step", ["file", "retired", "half", "moved"])
def test_each_step_of_a_rotation_can_be_the_last(step: str, data: DataDir) -> None:
    """The same as the kills above, at each boundary on purpose: database and file are stopped from going on."""
    old = secrets.read_keys(data.key_file)
    stopped = _Stopping(data.db, step)
    with pytest.raises(_Stopped):
        secret_rows.rotate(stopped, data.key_file, 0)  # type: ignore[arg-type]
    assert secrets.read_keys(data.key_file)[1:] == old, "both keys are there"
    assert data.opens() == 122
    assert data.rotate().returncode == 0
    assert len(secrets.read_keys(data.key_file)) == 1
    assert data.opens() == 122


class _Stopped(Exception):
    pass


class _Stopping:
    """A connection that refuses to go on at one point, and rolls back as a killed process would."""

    def __init__(self, db: Connection, step: str) -> None:
        self._db = db
        self._step = step
        self._updates = 0

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def begin_writing(self) -> None:
        if self._step == "file":
            raise _Stopped
        begin_writing(self._db)

    def end(self, how: Literal["COMMIT", "ROLLBACK"]) -> None:
        end(self._db, how)

    def executemany(self, sql: str, rows: list[tuple[object, ...]]) -> object:
        return self._db.executemany(sql, rows)

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> object:
        self._updates += sql.startswith("UPDATE")
        at = {"retired": self._updates == 1, "half": self._updates == 75, "moved": "INTO audit" in sql}
        if at.get(self._step):
            if self._db.in_transaction:
                end(self._db, "ROLLBACK")
            raise _Stopped
        return self._db.execute(sql, parameters)
