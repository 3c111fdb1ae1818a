"""What each end of restic means, for every version of restic that is there: one row of `ROWS` for one case.

For each version one agent on a shared server, with a repository of its own for each row. All rows of a version are run
first, a few at a time; then each row's test looks at what became of it: status, reason, the words that operators read,
and whether an alert was raised. docs/agent.md has the same as a table.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from harness.agents import AgentProcess
from harness.cheap_key import make_cheap
from harness.ports import free_port
from harness.processes import Server, eventually
from tests.restic_rest_server import Asked, RestServer, rest_server
from tests.restics import number, restics

NOBODY = 65534
AT_A_TIME = 4
KINDS = ["backup", "forget", "prune", "check", "unlock", "init", "restore", "snapshots"]
ROOT_ONLY = os.geteuid() == 0 and shutil.which("setpriv") is not None
OLD, MIDDLE, NEW = (0, 14), (0, 18), (0, 19)


@dataclass
class Place:
    """One row's repository on this host, and what restic is for it."""

    folder: Path
    restic: str
    stack: ExitStack
    password: str = "correct horse"
    sources: list[str] = field(default_factory=list)
    address: str = ""
    """Where it is no folder."""
    script: str = 'exec "$RESTIC" "$@"'
    """How restic is run for it."""
    more: list[str] = field(default_factory=list)
    """Lines of the repository's part of agent.toml."""
    rest: RestServer | None = None

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "RESTIC_REPOSITORY": str(self.repository), "RESTIC_PASSWORD": "correct horse",
                "RESTIC_CACHE_DIR": str(self.folder / "cache")}  # fmt: skip

    def files(self, kind: str) -> list[Path]:
        """Files of one of the repository's folders, largest first; not those that are still being written, which have
        another name in a moment."""
        found = [path for path in (self.repository / kind).rglob("*") if len(path.name) == 64 and path.is_file()]
        return sorted(found, key=lambda path: -path.stat().st_size)

    def flip(self, path: Path) -> None:
        """Three bytes of that file are not what they were."""
        path.chmod(0o600)
        content = bytearray(path.read_bytes())
        content[40:43] = b"\xff\xfe\xfd"
        path.write_bytes(content)

    def holder(self) -> "subprocess.Popen[bytes]":
        """A restic that reads from a pipe and so holds its lock until it is killed."""
        held = self.stack.enter_context(
            subprocess.Popen(
                [self.restic, "backup", "--stdin"], env=self.environment(), stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        self.stack.callback(held.kill)
        eventually(lambda: bool(self.files("locks")), 60, lambda: "it takes no lock")
        return held


Spoil = Callable[[Place], None]


@dataclass(frozen=True)
class End:
    """What a job is to end with. `words` stand in its error, or in its warning where it succeeded."""

    status: str
    reason: str
    words: str | None
    alert: bool


@dataclass(frozen=True)
class Row:
    name: str
    kind: str
    end: End
    spoil: Spoil = lambda place: None
    before: End | None = None
    """In versions before 0.17."""
    in_018: End | None = None
    since: tuple[int, int] = (0, 0)
    cancel_when: str | None = None
    """An operator calls it off when the job's log says this."""
    cancel_before: bool = False
    """The versions before 0.17 are called off so, too."""
    needs_root: bool = False
    plan: str = ""
    """The plan of another row, run after that."""

    def ends(self, version: tuple[int, ...]) -> End:
        if version < (0, 17) and self.before is not None:
            return self.before
        return self.in_018 if self.in_018 is not None and version < NEW else self.end

    def is_called_off(self, version: tuple[int, ...]) -> bool:
        """Not where it fails by itself: the log says why a moment before the job has ended."""
        called_off = self.cancel_when is not None and (version >= (0, 17) or self.cancel_before)
        return called_off and self.ends(version).status != "failed"


def ok(words: str | None = None) -> End:
    return End("succeeded", "ok", words, False)


def bad(reason: str, words: str, *, alert: bool = True) -> End:
    return End("failed", reason, words, alert)


def off(words: str) -> End:
    return End("cancelled", "cancelled", words, False)


def wrong_password(place: Place) -> None:
    place.password = "battery staple"


def gone(place: Place) -> None:
    shutil.rmtree(place.repository)


def one_source_gone(place: Place) -> None:
    place.sources.append("/nonexistent/photos")


def all_sources_gone(place: Place) -> None:
    place.sources[:] = ["/nonexistent/photos", "/nonexistent/films"]


def held(place: Place) -> None:
    place.holder()


def held_by_the_dead(place: Place) -> None:
    process = place.holder()
    process.kill()
    process.wait()


def empty_config(place: Place) -> None:
    (place.repository / "config").chmod(0o600)
    (place.repository / "config").write_bytes(b"")


def flipped(kind: str) -> Spoil:
    return lambda place: place.flip(place.files(kind)[0] if kind != "config" else place.repository / "config")


def short_pack(place: Place) -> None:
    pack = place.files("data")[0]
    pack.chmod(0o600)
    os.truncate(pack, 1000)


def as_nobody(place: Place) -> None:
    """Everything of the row can be read by all, and restic is somebody who can write nothing of it."""
    place.script = f'exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --inh-caps=-all "$RESTIC" "$@"'
    for path in [place.repository, *place.repository.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def unreadable_file(place: Place) -> None:
    as_nobody(place)
    for path in [place.repository, *place.repository.rglob("*"), place.folder / "cache"]:
        path.mkdir(exist_ok=True) if path.name == "cache" else None
        os.chown(path, NOBODY, NOBODY)
    secret = Path(place.sources[0]) / "secret.txt"
    secret.write_text("nobody may read this")
    secret.chmod(0)


def no_cache_folder(place: Place) -> None:
    unreadable_file(place)
    (Path(place.sources[0]) / "secret.txt").chmod(0o644)
    closed = place.folder / "closed"
    closed.mkdir(mode=0o700)
    place.more.append(f'cache_dir = "{closed}/cache"')


def little_memory(place: Place) -> None:
    place.script = 'ulimit -v 400000; exec "$RESTIC" "$@"'


def signalled(name: str) -> Spoil:
    """Somebody ends restic when it has its lock."""

    def spoil(place: Place) -> None:
        (Path(place.sources[0]) / "film").write_bytes(os.urandom(6_000_000))
        place.more.append("limit_upload = 500")
        locks = place.repository / "locks"
        place.script = (
            f'(while [ -z "$(ls {locks} | grep -v tmp)" ]; do sleep 0.05; done; kill -{name} $$) </dev/null >/dev/null '
            '2>&1 &\nexec "$RESTIC" "$@"'
        )

    return spoil


def long_backup(place: Place) -> None:
    (Path(place.sources[0]) / "film").write_bytes(os.urandom(40_000_000))
    place.more.append("limit_upload = 4000")


def over_rest(place: Place, **switches: Any) -> RestServer:
    server = place.stack.enter_context(rest_server(place.repository))
    place.address = server.repository
    for name, value in switches.items():
        setattr(server, name, value)
    place.rest = server
    return server


def no_deletes(place: Place) -> None:
    over_rest(place, no_deletes=True)


def no_server(place: Place) -> None:
    place.address = f"rest:http://127.0.0.1:{free_port()}/"


def failing_twice(place: Place) -> None:
    """The first two looks at the index are answered with 500."""
    left = [2]

    def fails(asked: Asked) -> int | None:
        if asked.method == "GET" and asked.kind == "index" and asked.name and left[0]:
            left[0] -= 1
            return 500
        return None

    over_rest(place, fails=fails)


def no_space(place: Place) -> None:
    over_rest(place, fails=lambda asked: 507 if asked.method == "POST" else None)


DOWN = "connection refused (127.0.0.1:"
ROWS = [
    # all is well: succeeded, no alert
    Row("a good backup", "backup", ok()),
    Row("a good check", "check", ok()),
    Row("a good prune", "prune", ok()),
    # what the operator has to mend on this host
    Row("a wrong password", "backup", bad("wrong_password", "wrong password"), wrong_password),
    # check's summary counts an error then, and that is no damage
    Row("a check with a wrong password", "check", bad("wrong_password", "wrong password"), wrong_password),
    Row("no repository", "backup", bad("no_repository", "no such file or directory"), gone),
    Row("a check without a repository", "check", bad("no_repository", "no such file or directory"), gone),
    # sources: 0.14 and 0.18 hide a missing one behind a 0, 0.19 ends with 3; the snapshot is made in all of them
    Row("one source of two is gone", "backup", End("partial", "no_source", "/nonexistent/photos does not exist", True),
        one_source_gone),
    Row("all sources are gone", "backup", bad("no_source", "/nonexistent/films"), all_sources_gone),
    Row("a file that cannot be read", "backup", End("partial", "partial", "secret.txt: permission denied", True),
        unreadable_file, needs_root=True),
    # locks
    Row("another restic holds the repository", "check", bad("locked", "repository locked by pid "), held),
    Row("a lock whose process is no more is removed", "prune", ok(), held_by_the_dead),
    Row("an unlock that leaves a lock in use says so", "unlock", ok("the repository is still locked by pid "), held),
    # an existing repository is neither missing nor damaged; init raises no alert
    Row("init where a repository is", "init", bad("error", "a repository exists there already", alert=False)),
    # damage, wherever it is met
    Row("an empty config", "backup", bad("corrupt", "config file has zero size"), empty_config),
    Row("a damaged config", "backup", bad("corrupt", "is damaged: ciphertext verification failed"), flipped("config")),
    Row("a damaged key", "backup", bad("corrupt", "invalid data returned"), flipped("keys"),
        before=bad("corrupt", "Unmarshal: ")),
    Row("a damaged index", "backup", bad("corrupt", "invalid data returned"), flipped("index")),
    Row("a check of a damaged index says what to run", "check", bad("corrupt", "To run: restic repair index"),
        flipped("index"), before=bad("corrupt", "error loading index")),
    Row("a damaged snapshot file", "backup", bad("corrupt", "invalid data returned"), flipped("snapshots")),
    Row("a check of a short pack says what to run", "check", bad("corrupt", "then restic repair snapshots --forget"),
        short_pack, before=bad("corrupt", "unexpected file size: got 1000")),
    Row("a prune that meets a short pack", "prune", bad("corrupt", "pack size does not match"), short_pack),
    # 0.14 tries a short pack for a quarter of an hour
    Row("a restore out of a short pack", "restore", bad("corrupt", "There were ", alert=False), short_pack,
        since=MIDDLE),
    # a backup of other data does not notice
    Row("a backup beside a short pack", "backup", ok(), short_pack),
    # what only looks like damage: 0.19 wraps all of these in `error` objects (0.14 tries on for minutes)
    Row("a check whose lock cannot be written", "check", bad("error", "permission denied"), as_nobody, since=MIDDLE,
        needs_root=True),
    Row("a check whose backend fails twice and then answers", "check", ok(), failing_twice),
    # restic breaks down: its own words, no stack trace
    Row("out of memory", "backup", bad("error", "fatal error: failed to reserve page summary memory"),
        little_memory),
    # only 0.19 fails where it cannot make its cache, and does so with a stack trace
    Row("no cache folder", "backup", bad("error", "closed/cache: permission denied"), no_cache_folder, before=ok(),
        in_018=ok(), needs_root=True),
    # signals: what nobody here asked for is a failure (0.18 ends with 1, 0.19 with 130, 0.14 of the signal)
    Row("somebody sends SIGTERM", "backup", bad("terminated", "ended by SIGTERM"), signalled("TERM")),
    Row("somebody sends SIGINT", "backup", bad("terminated", "ended by SIGINT"), signalled("INT")),
    Row("somebody sends SIGKILL", "backup", bad("terminated", "(out of memory?)"), signalled("KILL")),
    Row("an operator calls it off", "backup", off("cancelled"), long_backup, cancel_when="", cancel_before=True),
    # backends that do not answer: 0.14 gives up at once, later ones try for a quarter of an hour and say why meanwhile
    Row("a server that is down", "backup", off(DOWN), no_server, cancel_when=DOWN,
        before=bad("no_repository", "connection refused")),
    Row("a check of a server that is down", "check", off(DOWN), no_server, cancel_when=DOWN,
        before=bad("no_repository", "connection refused")),
    # 507 is tried again, but for 0.19
    Row("no space on the server", "backup", bad("error", "no space left"), no_space, in_018=off("no space left"),
        before=off("cancelled"), cancel_when="507", cancel_before=True),
    # a key that may not delete: the backup is good and leaves its lock; 0.14 tries on behind its summary
    Row("a key that may not delete", "backup", ok("its lock could not be removed"), no_deletes,
        cancel_when="server response: 403", cancel_before=True),
    Row("and the prune after it", "prune", bad("locked", "run `restic unlock` with a key that may delete"),
        plan="a key that may not delete"),
]  # fmt: skip


def plan_of(row: Row) -> str:
    return (row.plan or row.name).replace(" ", "-")


class Versions:
    """One agent with one restic, and the jobs of all rows."""

    def __init__(self, server: Server, folder: Path, restic: str, version: str, stack: ExitStack) -> None:
        self.server, self.restic, self.version, self.stack = server, restic, number(version), stack
        self.version_name = version
        self.folder = folder
        self.agent = AgentProcess(server, folder / "agent", f"restic-{version}")
        self.rows = [row for row in ROWS if self.version >= row.since and (ROOT_ONLY or not row.needs_root)]
        self.ended: dict[str, dict[str, Any]] = {}
        self.stuck: dict[str, AssertionError] = {}
        self._made()
        places = {row.name: self._place(row) for row in self.rows if not row.plan}
        self._configure(places)
        self.host_id = self.agent.enroll()
        self.agent.start(self.host_id)
        first = [row for row in self.rows if not row.plan]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(self._try, first))
        for row in self.rows:
            if row.plan:
                self._try(row)

    def _made(self) -> None:
        """A repository with one snapshot, to be copied for each row."""
        home = self.folder / "home"
        (home / "deep").mkdir(parents=True)
        (home / "letter.txt").write_text("worth keeping\n")
        (home / "deep" / "film.bin").write_bytes(os.urandom(300_000))
        variables = {**os.environ, "RESTIC_REPOSITORY": str(self.folder / "made"), "RESTIC_PASSWORD": "correct horse"}
        for arguments in (["init"], ["backup", "--host", self.agent.name, str(home)]):
            subprocess.run([self.restic, "--no-cache", *arguments], env=variables, check=True, capture_output=True)
            if arguments == ["init"]:
                make_cheap(self.folder / "made", "correct horse")
        for empty in list((self.folder / "made" / "data").iterdir()):
            if not any(empty.iterdir()):  # 256 of them, which restic makes where it needs them
                empty.rmdir()
        listed = subprocess.run(
            [self.restic, "--no-cache", "snapshots", "--json"], env=variables, check=True, capture_output=True
        )
        self.snapshot = json.loads(listed.stdout)[0]["id"]

    def _place(self, row: Row) -> Place:
        folder = self.folder / plan_of(row)
        shutil.copytree(self.folder / "home", folder / "home")
        shutil.copytree(self.folder / "made", folder / "repository")
        place = Place(folder, self.restic, self.stack, sources=[str(folder / "home")])
        row.spoil(place)
        return place

    def _configure(self, places: dict[str, Place]) -> None:
        special = [row for row in self.rows if row.name in places and places[row.name].script != Place.script]
        cases = "".join(f'*"/{plan_of(row)}/repository") {places[row.name].script};;\n' for row in special)
        script = self.folder / "restic"
        run = 'exec "$RESTIC" "$@"'
        script.write_text(f'#!/bin/sh\nRESTIC={self.restic}\ncase "$RESTIC_REPOSITORY" in\n{cases}*) {run};;\nesac\n')
        script.chmod(0o755)
        text = [
            f'allow = {KINDS}\nrestic = "{script}"\nlock_wait_seconds = 0\ncancel_grace_seconds = 20\n'
            f'host = "{self.agent.name}"'
        ]
        for row in self.rows:
            if row.plan:
                continue
            place, name = places[row.name], plan_of(row)
            (place.folder / "pass").write_text(f"{place.password}\n")
            (place.folder / "pass").chmod(0o644)
            lines = [
                f'[repositories."{name}"]', f'repository = "{place.address or place.repository}"',
                f'password_file = "{place.folder}/pass"', f'restore_to = "{place.folder}/restored"', *place.more,
            ]  # fmt: skip
            if not any(line.startswith("cache_dir") for line in place.more):
                lines.append(f'cache_dir = "{place.folder}/cache"')
            text.append("\n".join(lines))
            text.append(f'[plans."{name}"]\nrepository = "{name}"\nsources = {place.sources}'.replace("'", '"'))
        self.agent.config.write_text("\n".join(text).replace("'", '"'))

    def _try(self, row: Row) -> None:
        """One that does not come to its end is a failure of its own, and none of the others."""
        try:
            self.ended[row.name] = self._run(row)
        except AssertionError as error:
            self.stuck[row.name] = error

    def _run(self, row: Row) -> dict[str, Any]:
        named = {"snapshot": self.snapshot} if row.kind == "restore" else {}
        order = {"kind": row.kind, "params": {"plan": plan_of(row), **named}}
        job = self.server.ask("POST", f"/api/hosts/{self.host_id}/jobs", order)
        if row.is_called_off(self.version):
            self._call_off(row, job["id"])
        ended: dict[str, Any] = self.agent.until_ended(job, 600)
        return ended

    def _call_off(self, row: Row, job_id: str) -> None:
        """When its log says the words, or at once when its packs are being written. Some versions end before that."""
        place = self.folder / plan_of(row) / "repository"

        def is_time() -> bool:
            job = self.server.ask("GET", f"/api/jobs/{job_id}")
            if job["finished_at"]:
                return True
            if not row.cancel_when:
                return any(len(path.name) == 64 for path in (place / "locks").iterdir())
            log = self.server.ask("GET", f"/api/jobs/{job_id}/log?limit=200")["items"]
            return any(row.cancel_when in str(line["text"]) for line in log)

        eventually(is_time, 300, lambda: f"{row.name}: nothing to see in the log")
        called_off = self.server.response("POST", f"/api/jobs/{job_id}/cancel")
        assert called_off.is_success or "the job has ended" in called_off.text, called_off.text

    @cached_property
    def alerts(self) -> set[tuple[str, str]]:
        """(kind, subject) of all that are not resolved."""
        found = self.server.all_items(f"/api/alerts?host_id={self.host_id}")
        return {(alert["kind"], alert["subject"]) for alert in found}


@pytest.fixture(scope="module")
def versions(shared_server: Server, each_restic: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:  # pytest's own can be entered by the owner alone
        folder = Path(name)
        folder.chmod(0o755)
        version = next(version for version, path in restics().items() if path == each_restic)
        found = Versions(shared_server, folder, each_restic, version, stack)
        try:
            yield found
        finally:
            found.agent.end()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_end_of_restic_is_told_as_what_it_is(versions: Versions, row: Row) -> None:
    if row.name in versions.stuck:
        raise versions.stuck[row.name]
    if row.name not in versions.ended:
        pytest.skip(f"not for restic {versions.version_name}, or not without root")
    job, end = versions.ended[row.name], row.ends(versions.version)
    said = job["error"] if end.status != "succeeded" else (job["stats"] or {}).get("warning")
    assert (job["status"], job["reason"]) == (end.status, end.reason), str(job)
    if end.words is None:
        assert said is None
    else:
        assert any(words in (said or "") for words in end.words.split("|")), str(job)
    if end.status == "succeeded":
        assert job["error"] is None
    for noise in ("goroutine", ".go:", "asm_amd64", "0x", "context canceled", "Fatal:", "\n", "\x1b"):
        assert noise not in (job["error"] or ""), str(job)
    assert (job["stats"] or {}).get("duration_seconds", 0) >= 0
    raised = (f"{row.kind}_failed", f"plan:{plan_of(row)}") in versions.alerts
    assert raised == end.alert, f"{'an' if raised else 'no'} alert"
