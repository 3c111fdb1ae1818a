"""`rmactors doctor` on data dirs with one thing wrong each, and beside a real server."""

import json
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.ports import free_port
from harness.processes import Server, environment, running_server
from rmactors.cli.main import main
from rmactors.common import clock, zones
from rmactors.common.clock import MINUTE
from rmactors.server.config import data_dir
from rmactors.server.config.secrets import SecretBox
from rmactors.server.messages.facts import Pulse
from tests.store.ledger import Ledger
from tests.web.lying_provider import lying_provider


class Patient:
    """A data dir as a server leaves it, with free ports."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder, self.database, self.key_file = folder, folder / "rm.db", folder / "secret.key"
        self.ports = {"RM_LISTEN": f"127.0.0.1:{free_port()}", "RM_AGENT_LISTEN": f"127.0.0.1:{free_port()}"}
        box = SecretBox.load_or_create(self.key_file)
        self.database.touch(0o600)
        self.ledger = Ledger(self.database)
        self.channel_id = self.ledger.channel()
        sealed = box.seal(b"{}", f"notification-channel:{self.channel_id}")
        self.ledger.connection.execute("UPDATE channels SET config = ?", (sealed,))
        self.ledger.commit(Pulse(clock.now()))

    def doctor(self, *arguments: str, **variables: str) -> tuple[int, list[tuple[str, str]]]:
        """Exit code, and (result, sentence) of each finding."""
        before = {path.name: path.stat().st_mtime_ns for path in self.folder.iterdir() if "rm.db-" not in path.name}
        given = {"RM_DATA_DIR": str(self.folder), **self.ports, **variables}
        done = CliRunner().invoke(main, ["doctor", "--json", *arguments], env=given, catch_exceptions=False)
        after = {path.name: path.stat().st_mtime_ns for path in self.folder.iterdir() if "rm.db-" not in path.name}
        assert before == after, "a doctor changes nothing"
        return done.exit_code, [(found["result"], found["text"]) for found in json.loads(done.stdout)]

    def faults(self, *arguments: str, **variables: str) -> list[str]:
        code, found = self.doctor(*arguments, **variables)
        faults = [text for result, text in found if result == "fault"]
        assert code == (1 if faults else 0)
        return faults

    def sql(self, statement: str, *values: object) -> None:
        self.ledger.connection.execute(statement, values)


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    for name in [name for name in os.environ if name.startswith("RM_")]:
        monkeypatch.delenv(name)
    made = Patient(tmp_path / "data")
    yield made
    made.ledger.close()


def test_of_a_healthy_one_nothing_is_a_fault(patient: Patient) -> None:
    patient.ledger.host("nas1")
    patient.sql("UPDATE hosts SET agent_version = '0.0.1'")
    code, found = patient.doctor("--full")
    assert code == 0
    said = [text for _, text in found]
    assert any(text.startswith("the database is whole: ") for text in said)
    assert "the key opens the stored secret" in said
    assert "no notification waits" in said
    assert "version 0.0.1 on nas1" in said
    assert [text for text in said if text.endswith("is free")] == [
        f"{patient.ports['RM_LISTEN']} (pages) is free", f"{patient.ports['RM_AGENT_LISTEN']} (agents) is free",
    ]  # fmt: skip


def test_hosts_whose_clocks_or_time_zone_data_are_not_ours_are_named(patient: Patient) -> None:
    for name, version, offset in [
        ("old", "1999a", None), ("new", "2999a", 91.0), ("same", zones.version(), -29.0), ("silent", None, -600.0),
    ]:  # fmt: skip
        host_id = patient.ledger.host(name)
        patient.sql(
            "UPDATE hosts SET tzdata_version = ?, clock_offset_seconds = ? WHERE id = ?", version, offset, host_id
        )
    code, found = patient.doctor()
    assert code == 0
    notes = [text for result, text in found if result == "note"]
    ours = zones.version()
    assert f"time zone data 1999a on old is older than here ({ours}): update tzdata there" in notes
    assert f"time zone data 2999a on new is newer than here ({ours}): update tzdata here" in notes
    assert [text for text in notes if text.startswith("the clock of")] == [
        "the clock of new is 91 s ahead of this server's: let NTP keep it right",
        "the clock of silent is 600 s behind this server's: let NTP keep it right",
    ]
    assert not any("on same" in text for text in notes)
    assert any(text.startswith(f"time zone data: {ours}, ") for _, text in found)


def test_many_wrong_clocks_are_counted(patient: Patient) -> None:
    for number in range(7):
        patient.ledger.host(f"nas{number}")
    patient.sql("UPDATE hosts SET clock_offset_seconds = 3600")
    _, found = patient.doctor()
    assert sum(text.startswith("the clock of nas") for _, text in found) == 5
    assert ("note", "2 more hosts have clocks that are wrong") in found


def test_schedules_that_cannot_be_watched_here_are_named(patient: Patient) -> None:
    """They were saved where their zone is known: another node, or a server with newer time zone data."""
    host, gone = patient.ledger.host("nas1"), patient.ledger.host("nas2")
    patient.ledger.schedule(host, name="Good")
    patient.ledger.schedule(host, name="Hourly", cron=None, every_hours=1.0, timezone="Mars/Olympus")
    for name, enabled in (("Nightly", True), ("Weekly", True), ("Paused", False)):
        patient.ledger.schedule(host, name=name, timezone="Mars/Olympus", enabled=enabled)
    patient.ledger.schedule(gone, name="Nightly", timezone="Mars/Olympus")
    patient.sql("UPDATE hosts SET deleted_at = 1 WHERE id = ?", gone)
    assert patient.faults() == [
        f"the schedule {name} of nas1 is not watched: unknown time zone 'Mars/Olympus': use a name like Europe/Berlin"
        " or UTC. Update tzdata here, or change the schedule"
        for name in ("Nightly", "Weekly")
    ]


def test_many_schedules_that_cannot_be_watched_are_counted(patient: Patient) -> None:
    host = patient.ledger.host("nas1")
    for number in range(7):
        patient.ledger.schedule(host, name=f"Nightly {number}", timezone="Mars/Olympus")
    faults = patient.faults()
    assert len(faults) == 6
    assert faults[-1] == "2 more schedules are not watched"


def test_a_key_that_others_can_read(patient: Patient) -> None:
    patient.key_file.chmod(0o640)
    [fault] = patient.faults()
    assert f"chmod 600 {patient.key_file}" in fault


def test_a_key_of_another_database(patient: Patient) -> None:
    patient.key_file.unlink()
    SecretBox.load_or_create(patient.key_file)
    [fault] = patient.faults()
    assert "Put back the key file that belongs to this database" in fault


def test_a_database_that_others_can_read(patient: Patient) -> None:
    patient.database.chmod(0o644)
    [fault] = patient.faults()
    assert "mode 0644" in fault


def test_a_database_that_is_damaged(patient: Patient) -> None:
    patient.ledger.close()
    size = patient.database.stat().st_size
    with open(patient.database, "r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * 20_000)
    [fault] = patient.faults()
    assert "is damaged" in fault
    patient.database.write_bytes(b"hello" * 1000)
    assert any("the database" in fault for fault in patient.faults())


def test_a_database_of_a_newer_version(patient: Patient) -> None:
    patient.sql("INSERT INTO migrations VALUES (9000, '9000_future.sql', 0)")
    [fault] = patient.faults()
    assert "written by a newer version" in fault


def test_a_database_of_an_older_version_is_no_fault(patient: Patient) -> None:
    patient.sql("DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
    code, found = patient.doctor()
    assert code == 0
    assert any("the next start of the server brings it up to" in text for _, text in found)


def test_a_clock_that_was_set_back(patient: Patient) -> None:
    patient.ledger.commit(Pulse(clock.now() + 60 * MINUTE))
    [fault] = patient.faults()
    assert "was it set back?" in fault


def test_a_queue_that_is_stuck_and_a_channel_that_fails(patient: Patient) -> None:
    patient.ledger.raise_(patient.ledger.host(), at=clock.now() - 15 * MINUTE)
    patient.sql("UPDATE channels SET failing_since = 1, last_error = 'down'")
    assert patient.faults() == [
        "1 notification waiting, the oldest for 15 minutes",
        "the channel ops (webhook) is failing: 1 notification waiting",
    ]


def test_a_notification_that_nobody_got(patient: Patient) -> None:
    alert_id = patient.ledger.raise_(patient.ledger.host(), at=clock.now())
    patient.sql("UPDATE deliveries SET state = 'dead', finished_at = 1")
    [fault] = patient.faults()
    assert "1 notification of unresolved alerts given up" in fault
    patient.sql("DELETE FROM deliveries WHERE state = 'queued'")
    patient.sql("UPDATE alerts SET resolved = 1, resolved_at = 1 WHERE id = ?", alert_id)
    assert patient.faults() == []


def test_ports_that_somebody_else_has(patient: Patient) -> None:
    host, port = patient.ports["RM_AGENT_LISTEN"].split(":")
    with socket.create_server((host, int(port))):
        [fault] = patient.faults()
        assert f"{host}:{port} (agents) cannot be used" in fault
    assert patient.faults() == []


def test_a_server_that_runs_but_not_here(patient: Patient) -> None:
    with data_dir.locked(patient.folder):
        assert [fault for fault in patient.faults() if "has it other settings?" in fault]


def test_a_stranger_on_the_ports_of_a_server_that_runs(patient: Patient) -> None:
    host, port = patient.ports["RM_LISTEN"].split(":")
    with data_dir.locked(patient.folder), socket.create_server((host, int(port))) as stranger:

        def answer() -> None:
            connection, _ = stranger.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        speaking = threading.Thread(target=answer)
        speaking.start()
        faults = patient.faults()
        speaking.join()
    assert any(f"what listens on {host}:{port} (pages) is not our server" in fault for fault in faults)


def test_a_data_dir_that_is_not_there(patient: Patient, tmp_path: Path) -> None:
    [fault] = patient.faults(RM_DATA_DIR=str(tmp_path / "nowhere"))
    assert "there is no data dir" in fault
    assert not (tmp_path / "nowhere").exists()


def test_an_identity_provider_is_asked_what_it_is(patient: Patient) -> None:
    with lying_provider() as provider:
        given = {"RM_OIDC_ISSUER": provider.issuer, "RM_OIDC_CLIENT_ID": "rm", "RM_OIDC_ROLES": "admins=admin"}
        _, found = patient.doctor(**given)
        assert ("ok", f"the identity provider {provider.issuer} answers, and calls itself so") in found
        provider.discovery = {"issuer": "https://other.example"}
        [fault] = patient.faults(**given)
        assert f"it calls itself 'https://other.example', and RM_OIDC_ISSUER says '{provider.issuer}'" in fault
    [fault] = patient.faults(**given)
    assert "its discovery document cannot be fetched" in fault


def test_a_variable_that_means_nothing(patient: Patient) -> None:
    assert patient.faults(RM_LISTN="x") == ["unknown variable RM_LISTN; did you mean RM_LISTEN?"]


def test_beside_a_running_server_its_ports_are_asked(tmp_path: Path) -> None:
    with running_server(tmp_path / "server") as server:
        code, said = beside(server)
        assert code == 0, said
        assert f"the server on 127.0.0.1:{server.port} is well" in said
        assert f"the agents' port 127.0.0.1:{server.agent_port} answers, and asks for a token (HTTP 401)" in said
        with closing(sqlite3.connect(server.data_dir / "rm.db")) as connection:
            assert connection.execute("SELECT count(*) FROM hosts").fetchone() == (0,)
        server.kill()
        code, said = beside(server)
        assert code == 0, said
        assert "no server runs on this data dir" in said


def beside(server: Server) -> tuple[int, str]:
    given = {name: value for name, value in environment(server.environment).items() if name.startswith("RM_")}
    done = CliRunner().invoke(main, ["doctor"], env=given, catch_exceptions=False)
    return done.exit_code, done.output
