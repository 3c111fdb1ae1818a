"""What depends on restic's version, beyond how a job ends (tests/e2e/test_restic_versions.py): real restics."""

import http.server
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio

from rmactors.agent import checking, this_host
from rmactors.agent.agent_file import Repository
from rmactors.agent.environment import environment_for, has_cache
from rmactors.agent.process import Stop
from rmactors.agent.restic_output import OutputParser, Stream
from rmactors.agent.verdict import JobVerdict, OutputSummary, judge
from tests.restic_rest_server import rest_server
from tests.restics import number, restics, version_of

from .jobs import Jobs
from .repositories import ResticRepository, holding_a_lock, leave_a_lock
from .server_double import eventually

NEWER = [path for version, path in restics().items() if number(version) >= (0, 17)]
SKIPS_UNCHANGED = pytest.mark.parametrize("restic", NEWER or [None])


def heard(restic: str, repository: ResticRepository, *arguments: str) -> tuple[int, OutputSummary]:
    """What one call of restic ended with and said, from the folder that the source is in."""
    done = subprocess.run(
        [restic, *arguments], env=repository.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
        cwd=repository.source.parent,
    )  # fmt: skip
    summary = OutputSummary()
    streams: list[tuple[Stream, bytes]] = [("stdout", done.stdout), ("stderr", done.stderr)]
    for stream, data in streams:
        parser = OutputParser(stream)
        for item in [*parser.feed(data), *parser.finish()]:
            summary.take(item)
    return done.returncode, summary


def both(restic: str, repository: ResticRepository, *arguments: str) -> list[JobVerdict]:
    """The verdicts on a backup without and with --json."""
    plain = heard(restic, repository, "backup", *arguments)
    json = heard(restic, repository, "backup", "--json", *arguments)
    return [judge("backup", *plain), judge("backup", *json)]


def test_a_version_is_known_by_its_numbers(each_restic: str) -> None:
    assert this_host.restic_number(each_restic) == version_of(each_restic)
    assert this_host.restic_number("/nonexistent/restic") is None


def test_a_backup_with_a_missing_source_is_judged_alike_with_and_without_json(
    each_restic: str, repository: ResticRepository
) -> None:
    """0.19.1 ends with 3 and its plain text has no summary: a snapshot was made even so."""
    for verdict in both(each_restic, repository, str(repository.source), "/nonexistent/photos"):
        assert (verdict.status, verdict.reason) == ("partial", "no_source")
        assert verdict.error == "/nonexistent/photos does not exist"
    for verdict in both(each_restic, repository, "/nonexistent/photos", "/nonexistent/films"):
        assert (verdict.status, verdict.reason) == ("failed", "no_source")


@SKIPS_UNCHANGED
def test_a_backup_that_saved_nothing_because_nothing_changed_is_good_and_its_numbers_can_be(
    restic: str | None, repository: ResticRepository
) -> None:
    """0.18.0 says that it took -9223372036.85 seconds."""
    if restic is None:
        pytest.skip("no restic from 0.17 on is here")
    # By its name alone: a path's upper folders are in the snapshot, and others change these meanwhile.
    source = repository.source.name
    heard(restic, repository, "backup", source)
    code, summary = heard(restic, repository, "backup", "--json", "--skip-if-unchanged", source)
    verdict = judge("backup", code, summary)
    assert (verdict.status, verdict.warning) == ("succeeded", "nothing changed: no new snapshot was needed")
    assert summary.numbers is not None
    assert summary.numbers["files_unmodified"] == 3
    assert 0 <= summary.numbers.get("duration_seconds", 0) < 600


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["plain", "json"])
def test_data_that_was_missing_and_is_stored_again_is_no_damage(
    each_restic: str, repository: ResticRepository, json: tuple[str, ...]
) -> None:
    heard(each_restic, repository, "backup", str(repository.source))
    largest = max((path for path in (repository.path / "data").rglob("*") if path.is_file()), key=os.path.getsize)
    largest.unlink()
    repair = ["rebuild-index"] if version_of(each_restic) < (0, 17) else ["repair", "index"]
    assert heard(each_restic, repository, *repair)[0] == 0
    verdict = judge("backup", *heard(each_restic, repository, "backup", *json, str(repository.source)))
    if json and version_of(each_restic) < (0, 17):  # it says `"error":{}`, and no more
        assert (verdict.status, verdict.reason) == ("partial", "partial")
    else:
        assert (verdict.status, verdict.error) == ("succeeded", None)
        assert "is stored again" in (verdict.warning or "")
    assert heard(each_restic, repository, "check", "--read-data")[0] == 0


async def test_a_lock_that_goes_away_in_time_is_waited_for(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    """From 0.16 on by restic itself."""
    spy, called = tmp_path / "spy", tmp_path / "called"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {called}\nexec {each_restic} "$@"\n')
    spy.chmod(0o755)
    jobs = Jobs(repository.agent_file(lock_wait_seconds=240.0, restic=str(spy)), tmp_path / "state")
    ends = []

    def prunes() -> list[str]:
        return [line for line in called.read_text().splitlines() if "prune" in line] if called.exists() else []

    async with holding_a_lock(repository) as holder, trio.open_nursery() as nursery:

        async def prune() -> None:
            ends.append(await jobs.do("prune"))

        nursery.start_soon(prune)
        await eventually(lambda: len(prunes()) > 1)
        assert holder.stdin is not None
        holder.stdin.close()  # and so its backup ends
    assert ends[0].verdict.status == "succeeded"
    assert any("; trying again" in line for line in jobs.said)
    assert ["--retry-lock" in line for line in prunes()[:2]] == [False, version_of(each_restic) >= (0, 16)]


async def test_a_lock_that_a_failed_run_left_is_known_the_morning_after(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    """Where unlock is not allowed. 11 the morning after is no second incident, and waiting would be in vain."""
    script = tmp_path / "restic"
    when_locked = f'while [ -z "$(ls {repository.path}/locks | grep -v tmp)" ]; do sleep 0.05; done'
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *backup*) ({when_locked}; kill -KILL $$) </dev/null >/dev/null 2>&1 & ;; esac\n'
        f'exec {each_restic} "$@"\n'
    )
    script.chmod(0o755)
    (repository.source / "big").write_bytes(os.urandom(6_000_000))
    agent_file = repository.agent_file(
        allow=["backup", "prune"], restic=str(script), lock_wait_seconds=3600.0, repository={"limit_upload": 500}
    )
    jobs = Jobs(agent_file, tmp_path / "state")
    failed = await jobs.do("backup")
    assert (failed.verdict.status, failed.verdict.reason) == ("failed", "terminated")
    morning = await jobs.do("prune")
    assert (morning.verdict.status, morning.verdict.reason) == ("failed", "locked")
    assert "left behind by the backup of home that failed at" in (morning.verdict.error or "")
    assert "restic unlock" in (morning.verdict.error or "")


async def test_a_lock_of_the_dead_of_which_nothing_is_known_is_told_as_such(
    repository: ResticRepository, tmp_path: Path
) -> None:
    await leave_a_lock(repository)
    end = await Jobs(repository.agent_file(allow=["prune"], lock_wait_seconds=3600.0), tmp_path / "state").do("prune")
    assert end.verdict.reason == "locked"
    assert "that process is no more, its lock was left; `restic unlock` removes it" in (end.verdict.error or "")


async def test_what_restic_keeps_trying_stands_in_the_jobs_log_and_in_its_end(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    """Errors that restic of every version tries again."""
    with rest_server(repository.path) as backend:
        backend.fails = lambda asked: 500 if asked.kind == "data" and asked.method == "POST" else None
        address = {"repository": backend.repository, "password_file": str(repository.password_file)}
        jobs = Jobs(repository.agent_file(restic=each_restic, repository=address), tmp_path / "state")
        stop, ends = Stop(), []
        async with trio.open_nursery() as nursery:

            async def backup() -> None:
                ends.append(await jobs.do("backup", stop))

            nursery.start_soon(backup)
            await eventually(
                lambda: len([a for a in backend.asked if a.kind == "data" and a.method == "POST"]) > 2, 120
            )
            stop.ask("cancelled")
    (end,) = ends
    assert (end.verdict.status, end.verdict.reason) == ("cancelled", "cancelled")
    assert "500" in (end.verdict.error or "")
    assert "tried for" in (end.verdict.error or "")
    told = [line for line in jobs.said if line.startswith("rmactors: ") and "restic keeps trying" in line]
    assert len(told) == len(set(told)) >= 1
    assert "500" in told[0]


@pytest.mark.parametrize("version", [version for version in restics() if number(version) >= (0, 17)])
async def test_a_job_whose_server_never_answers_is_called_off_without_another_call(
    version: str, repository: ResticRepository, tmp_path: Path
) -> None:
    """What has not even opened the repository has no lock to clear up: restic would wait for that server again."""
    asked: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)

        def another() -> bool:
            with suppress(BlockingIOError):
                asked.append(silent.accept()[0])
            return bool(asked)

        address = {"repository": f"rest:http://127.0.0.1:{silent.getsockname()[1]}/"}
        jobs = Jobs(repository.agent_file(restic=restics()[version], repository=address), tmp_path / "state")
        stop, ends = Stop(), []
        async with trio.open_nursery() as nursery:

            async def backup() -> None:
                ends.append(await jobs.do("backup", stop))

            nursery.start_soon(backup)
            await eventually(another, 120)
            stop.ask("cancelled")
        another()
    for one in asked:
        one.close()
    assert ends[0].verdict.status == "cancelled"
    assert len(asked) == 1


async def findings(restic: str, repository: ResticRepository, address: str, folder: Path) -> str:
    """What `agent check` finds wrong with a repository at that address."""
    file = folder / "agent.toml"
    repository.password_file.chmod(0o600)
    file.write_text(
        f'restic = "{restic}"\n[repositories.main]\nrepository = "{address}"\n'
        f'password_file = "{repository.password_file}"\n'
    )
    wrong = []
    with trio.fail_after(100):  # restic would try for a quarter of an hour
        async for finding in checking.check(file, folder / "state", asked_for=True):
            if finding.ok is False and "repository main" in finding.text:
                wrong.append(finding.text)
    (text,) = wrong
    return text


async def test_agent_check_says_at_once_that_a_server_is_down(
    each_restic: str, bare_repository: ResticRepository, tmp_path: Path
) -> None:
    with rest_server() as gone:
        address = gone.repository
    assert "connection refused" in await findings(each_restic, bare_repository, address, tmp_path)


@contextmanager
def refusing_storage() -> Iterator[str]:
    """An S3 that does not know any key."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            words = "The AWS Access Key Id you provided does not exist in our records."
            body = f"<Error><Code>InvalidAccessKeyId</Code><Message>{words}</Message></Error>".encode()
            self.send_response(403)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"s3:http://127.0.0.1:{listening.server_port}/backups/nas"
        finally:
            listening.shutdown()
            thread.join()


async def test_a_wrong_key_of_an_s3_storage_is_told_as_that(
    each_restic: str, bare_repository: ResticRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "old")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old")
    with refusing_storage() as address:
        text = await findings(each_restic, bare_repository, address, tmp_path)
    assert "the storage refuses this access key" in text
    assert "does not exist in our records" in text


async def test_where_home_has_no_place_for_a_cache_the_agents_own_is_used(
    each_restic: str, repository: ResticRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.19 fails without one; the earlier ones are slow."""
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    agent_file = repository.agent_file(restic=each_restic, repository={"cache_dir": None})
    jobs = Jobs(agent_file, tmp_path / "state", spare_cache=str(tmp_path / "state" / "cache"))
    assert (await jobs.do("backup")).verdict == JobVerdict("succeeded", "ok", None)
    assert any((tmp_path / "state" / "cache").iterdir())
    without = Jobs(agent_file, tmp_path / "state", spare_cache="/dev/null/cache")
    assert (await without.do("backup")).verdict == JobVerdict("succeeded", "ok", None)


def test_a_cache_that_was_asked_for_or_can_be_made_is_left_as_it_is(tmp_path: Path) -> None:
    repository = Repository("/r", password_file="/p")
    spare = str(tmp_path / "spare")
    assert "RESTIC_CACHE_DIR" not in environment_for(repository, {"HOME": str(tmp_path / "not" / "yet")}, spare)
    assert environment_for(repository, {"HOME": "/dev/null"}, spare)["RESTIC_CACHE_DIR"] == spare
    assert environment_for(repository, {"XDG_CACHE_HOME": "/dev/null"}, spare)["RESTIC_CACHE_DIR"] == spare
    named = Repository("/r", password_file="/p", cache_dir="/dev/null/mine")
    assert environment_for(named, {"HOME": "/dev/null"}, spare)["RESTIC_CACHE_DIR"] == "/dev/null/mine"
    assert not has_cache(environment_for(repository, {"HOME": "/dev/null"}, "/dev/null/spare"))
    assert not (tmp_path / "not").exists(), "nothing is made by looking"


def test_a_progress_bar_of_check_is_progress(each_restic: str, repository: ResticRepository) -> None:
    heard(each_restic, repository, "backup", str(repository.source))
    done = subprocess.run(
        [each_restic, "check"],
        env={**repository.environment, "RESTIC_PROGRESS_FPS": "60"},
        capture_output=True,
        timeout=120,
    )
    items = OutputParser("stdout").feed(done.stdout)
    assert any(getattr(item, "percent", None) == 100.0 for item in items)
