"""`rmactors alerts|hosts|policies|jobs|channels`, typed against a real server, as a person and as a program."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from click.testing import CliRunner, Result

from harness.agents import RawLink, ended, enroll_host, simulated
from harness.ports import free_port
from harness.processes import COMMAND, ROOT, Server, away, environment
from harness.sink import Sink
from rmactors.cli.main import main
from rmactors.common import ids, wire
from rmactors.simulate.agent import SimulatedAgent

from .test_looking import AT, ID, entry, greeted, response


@pytest.fixture
async def agent(shared_server: Server, request: pytest.FixtureRequest) -> AsyncIterator[SimulatedAgent]:
    """A host of the test's own, named after it, that is online."""
    credential = await enroll_host(shared_server, request.node.name[:90])
    async with simulated(shared_server, credential) as [running]:
        running.report(ended("home", error="Fatal: wrong password or no key found"))
        await running.settled()
        yield running


async def typed(server: Server, *words: str, code: int = 0, token: str | None = None, **variables: str) -> Result:
    """The command's end, in this process; its exit code must be `code`."""
    given = {"RM_SERVER": server.url, "RM_TOKEN": server.token if token is None else token, **variables}
    done = await away(lambda: CliRunner().invoke(main, list(words), env=given, catch_exceptions=False))
    assert done.exit_code == code, done.output
    assert server.token not in done.output
    assert isinstance(done, Result)
    return done


async def found(server: Server, *words: str) -> Any:
    return json.loads((await typed(server, *words, "--json")).stdout)


async def test_policies_are_listed_and_shown(shared_server: Server) -> None:
    body = {
        "name": "Nightly things", "host_tags": ["db", "web"], "kind": "backup", "cron": "0 2 * * *",
        "spread_minutes": 60, "params": {"plan": "home"},
    }  # fmt: skip
    made = await away(lambda: shared_server.ask("POST", "/api/policies", body))
    assert made in await found(shared_server, "policies", "list", "--all")
    head, *lines = (await typed(shared_server, "policies", "list", "--all")).stdout.splitlines()
    assert head.split() == ["ID", "NAME", "TAGS", "KIND", "WHEN", "ZONE", "SPREAD", "ENABLED"]
    (line,) = [line for line in lines if line.startswith(made["id"])]
    assert "Nightly things" in line
    assert "60 min" in line
    assert await found(shared_server, "policies", "show", "nightly THINGS") == made
    shown = (await typed(shared_server, "policies", "show", made["id"])).stdout
    assert "params" in shown
    assert "db web" in shown
    await typed(shared_server, "policies", "show", "no such policy", code=1)


async def test_an_alert_is_found_acknowledged_and_resolved(shared_server: Server, agent: SimulatedAgent) -> None:
    name = agent.credential.name
    [alert] = await found(shared_server, "alerts", "list", "--host", name)
    lines = (await typed(shared_server, "alerts", "list", "--host", name.upper())).stdout.splitlines()
    assert lines[0].split() == ["ID", "SEVERITY", "AGE", "HOST", "MESSAGE"]
    assert lines[1].startswith(alert["id"])
    assert lines[1].endswith("No earlier good one is known."), "a pipe gets all of it"

    said = (await typed(shared_server, "alerts", "ack", alert["id"], "--note", "on it")).stdout
    assert "acknowledged" in said
    shown = await found(shared_server, "alerts", "show", alert["id"])
    assert (shown["acknowledged_note"], shown["acknowledged_by"]) == ("on it", "token:end-to-end")
    assert [entry["event"] for entry in shown["timeline"]] == ["raised", "acknowledged"]
    assert "on it" in (await typed(shared_server, "alerts", "show", alert["id"])).stdout

    await typed(shared_server, "alerts", "resolve", alert["id"])
    assert await found(shared_server, "alerts", "list", "--host", name) == []
    refused = await typed(shared_server, "alerts", "ack", alert["id"], code=1)
    assert "resolved already" in refused.stderr


async def test_a_backup_that_looks_wrong_is_resolved_with_an_answer(
    shared_server: Server, agent: SimulatedAgent
) -> None:
    host = ("--host", agent.credential.name)
    for _ in range(3):
        agent.report(ended("photos", "succeeded", files=1000))
    for answer, raises_again in (("--not-meant", True), ("--meant", False)):
        agent.report(ended("photos", "succeeded", files=5))
        await agent.settled()
        [alert] = await found(shared_server, "alerts", "list", *host, "--kind", "backup_suspicious")
        await typed(shared_server, "alerts", "resolve", alert["id"], answer)
        agent.report(ended("photos", "succeeded", files=5))
        await agent.settled()
        still = await found(shared_server, "alerts", "list", *host, "--kind", "backup_suspicious")
        assert bool(still) == raises_again, answer
    [other] = await found(shared_server, "alerts", "list", *host, "--kind", "backup_failed")
    refused = await typed(shared_server, "alerts", "resolve", other["id"], "--meant", code=1)
    assert "Error: meant: is an answer" in refused.stderr


async def test_the_ages_of_backups_are_listed_as_they_are_narrowed_and_sorted(
    shared_server: Server, agent: SimulatedAgent
) -> None:
    agent.report(ended("photos", "succeeded", files=1234))
    await agent.settled()
    host = ("--host", agent.credential.name)
    [never, photos] = await found(shared_server, "backups", "list", *host)
    assert (never["plan"], never["state"], never["newest_good"]) == ("home", "never", None)
    assert (photos["plan"], photos["state"], photos["newest_good"]["files"]) == ("photos", "no_limit", 1234)
    assert await found(shared_server, "backups", "list", *host, "--sort", "-state") == [photos, never]
    assert await found(shared_server, "backups", "list", *host, "--state", "overdue") == []
    lines = (await typed(shared_server, "backups", "list", *host, "--sort=-plan")).stdout.splitlines()
    assert lines[0].split("  ")[0] == "HOST"
    assert lines[1].split()[1:3] == ["photos", "no_limit"]
    assert lines[2].split()[1:4] == ["home", "never", "never"]
    refused = await typed(shared_server, "backups", "list", "--sort", "age", code=2)
    assert "newest_good" in refused.stderr


async def test_a_snapshot_is_listed_browsed_searched_and_compared(shared_server: Server) -> None:
    host = await enroll_host(shared_server, "looked-at")
    snapshot = {"id": ID, "time": AT, "plan": "home", "paths": ["/home"], "hostname": "nas", "files": 2, "bytes": 5000}
    pages: dict[str, list[tuple[list[dict[str, Any]], str | None]]] = {
        "snapshots": [([snapshot], None)],
        "browse": [([entry("a"), {"name": 5}], "1"), ([entry("b\nc")], None)],
        "find": [([{"snapshot": ID, "time": AT, "path": "/home/a", "type": "file", "size": 5}], None)],
        "diff": [([{"path": "/home/a", "change": "added"}], None)],
    }
    asked: list[dict[str, Any]] = []

    async def answers(link: RawLink) -> None:
        while True:
            request = await link.receive()
            if request["type"] == "request":
                asked.append(request["params"])
                items, cursor = pages[request["kind"]]["cursor" in request["params"]]
                await link.send(response(request["request_id"], *items, next_cursor=cursor))

    async with greeted(shared_server, host) as link, trio.open_nursery() as nursery:
        nursery.start_soon(answers, link)
        head, row = (await typed(shared_server, "snapshots", "looked-at")).stdout.splitlines()
        assert head.split() == ["ID", "TIME", "PLAN", "HOST", "FILES", "SIZE", "ADDED", "TAGS", "PATHS"]
        assert row.split()[:1] + row.split()[3:] == [ID[:8], "home", "nas", "2", "5.0", "kB", "-", "/home"]
        [listed] = await found(shared_server, "snapshots", "list", "looked-at", "--plan", "home")
        assert listed["id"] == ID

        done = await typed(shared_server, "snapshots", "browse", "looked-at", "/home", "--plan", "home")
        assert [line.split()[-1] for line in done.stdout.splitlines()] == ["NAME", "a", "c"]
        assert done.stderr == "1 more could not be read\n"
        assert asked[-2:] == [
            {"plan": "home", "snapshot": "latest", "path": "/home"},
            {"plan": "home", "snapshot": "latest", "path": "/home", "cursor": "1"},
        ]
        names = [item["name"] for item in await found(shared_server, "snapshots", "browse", "looked-at")]
        assert names == ["a", "b\nc"], "a program gets them as they are"
        shown = (await typed(shared_server, "snapshots", "find", "looked-at", "*.txt")).stdout
        assert shown.splitlines()[1].split()[0] == ID[:8]
        [change] = await found(shared_server, "snapshots", "diff", "looked-at", ID, ID)
        assert change == {"path": "/home/a", "change": "added"}
        refused = await typed(shared_server, "snapshots", "diff", "looked-at", ID, "latest", code=1)
        assert "Error: to: must be a snapshot's id" in refused.stderr
        nursery.cancel_scope.cancel()
    gone = await typed(shared_server, "snapshots", "looked-at", code=1)
    assert "This host is not connected at the moment." in gone.stderr


async def test_the_cursor_is_followed_to_the_end(shared_server: Server, agent: SimulatedAgent) -> None:
    for number in range(450):  # more than two pages
        agent.report(ended(f"p{number}"))
    await agent.settled()
    host = ("--host", agent.credential.name)
    everything = await found(shared_server, "alerts", "list", *host, "--all")
    assert len({alert["id"] for alert in everything}) == len(everything) == 451
    cut = await typed(shared_server, "alerts", "list", *host, "--limit", "7")
    assert len(cut.stdout.splitlines()) == 8
    assert "--all" in cut.stderr
    assert len(await found(shared_server, "jobs", "list", *host)) == 451, "a program gets all"
    assert len(await found(shared_server, "jobs", "list", *host, "--limit", "201")) == 201
    searched = await found(shared_server, "alerts", "list", *host, "--search", "P44", "--severity", "warning")
    assert len(searched) == 11  # p44 and p440 to p449


async def test_hosts_are_listed_by_status_and_shown_by_name(shared_server: Server, agent: SimulatedAgent) -> None:
    name = agent.credential.name
    assert name in [host["name"] for host in await found(shared_server, "hosts", "list", "--status", "online")]
    assert name not in [host["name"] for host in await found(shared_server, "hosts", "list", "--status", "offline")]
    shown = (await typed(shared_server, "hosts", "show", name)).stdout
    assert agent.credential.host_id in shown
    assert "wrong password" in shown
    assert (await found(shared_server, "hosts", "show", agent.credential.host_id))["name"] == name
    assert "no host 'nix'" in (await typed(shared_server, "hosts", "show", "nix", code=1)).stderr


async def test_a_job_is_run_waited_for_and_read(shared_server: Server, agent: SimulatedAgent) -> None:
    name = agent.credential.name
    queued = await found(shared_server, "jobs", "run", name, "check", "--plan", "home")
    assert (queued["kind"], queued["params"]) == ("check", {"plan": "home"})
    assert (await found(shared_server, "jobs", "show", queued["id"]))["id"] == queued["id"]
    listed = (await typed(shared_server, "jobs", "list", "--host", name, "--kind", "check")).stdout
    assert listed.splitlines()[1].split()[:2] == [queued["id"], name]
    assert (await typed(shared_server, "jobs", "log", queued["id"])).stdout == ""
    cancelled = await found(shared_server, "jobs", "cancel", queued["id"])
    assert cancelled["cancel_requested_at"] or cancelled["status"] == "cancelled"


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1)])
async def test_the_exit_code_of_a_job_that_was_waited_for_says_how_it_went(
    shared_server: Server, status: str, code: int
) -> None:
    credential = await enroll_host(shared_server, f"waited-{status}")
    async with simulated(shared_server, credential) as [agent]:

        def end(job: wire.RunJob) -> None:
            agent.report(lambda seq: msgspec.structs.replace(ended("home", status)(seq), job_id=job.job_id))

        agent._on_job = end
        done = await typed(shared_server, "jobs", "run", credential.name, "backup", "--wait", "--json", code=code)
    assert json.loads(done.stdout)["status"] == status


@pytest.mark.parametrize(
    ("words", "params"),
    [
        (
            ("restore", "--plan", "home", "--snapshot", "0123abcd", "--include", "/a b", "--include", "/c"),
            {"plan": "home", "snapshot": "0123abcd", "include": ["/a b", "/c"]},
        ),
        (("restore", "--plan", "home", "--target", "/srv/back"), {"plan": "home", "target": "/srv/back"}),
        (("restore",), {}),
        (("check", "--plan", "home", "--read-data-subset", "2/5"), {"plan": "home", "read_data_subset": "2/5"}),
        (("check", "--repository", "main", "--read-data"), {"repository": "main", "read_data": True}),
        (("forget", "--prune"), {"prune": True}),
        (("forget", "--no-prune"), {"prune": False}),
        (("diff", "--from", "0123", "--to", "4567"), {"from": "0123", "to": "4567"}),
        (("prune", "--repository", "main"), {"repository": "main"}),
    ],
)
async def test_a_job_is_told_what_its_kind_takes(
    shared_server: Server, words: tuple[str, ...], params: dict[str, Any]
) -> None:
    credential = await enroll_host(shared_server, f"told-{ids.new()}")
    job = await found(shared_server, "jobs", "run", credential.name, *words)
    assert (job["kind"], job["params"]) == (words[0], params)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "--read-data-subset", "3/2"), "n from 1 to m"),
        (("check", "--read-data-subset", "150%"), "at most 100%"),
        (("backup", "--snapshot", "0123abcd"), "is no parameter of backup; it takes plan"),
        (("restore", "--include", "relative"), "absolute path"),
        (("check", "--plan", "a", "--repository", "b"), "together"),
        (("diff", "--from", "0123"), "is required"),
    ],
)
async def test_what_a_kind_of_job_does_not_take_is_said(
    shared_server: Server, words: tuple[str, ...], said: str
) -> None:
    credential = await enroll_host(shared_server, f"refused-{ids.new()}")
    assert said in (await typed(shared_server, "jobs", "run", credential.name, *words, code=1)).stderr


SNAPSHOTS = {
    "snapshots_count": 2,
    "snapshots": [
        {"id": "aaaa1111", "time": "2026-11-22T12:00:00Z", "host": "nas1", "plan": "home", "paths": ["/home", "/etc"]},
        {
            "id": "bbbb2222",
            "time": "2026-11-23T10:00:00Z",
            "host": "nas1",
            "paths": ["/srv\x1b[2J"],
            "size": 18200000000,
        },
    ],
}


async def test_snapshots_are_listed_readably(shared_server: Server) -> None:
    credential = await enroll_host(shared_server, f"snapshots-{ids.new()}")
    async with simulated(shared_server, credential) as [agent]:

        def end(job: wire.RunJob) -> None:
            assert job.kind == "snapshots"
            done = ended("home", "succeeded")
            stats = msgspec.Raw(json.dumps(SNAPSHOTS).encode())
            agent.report(
                lambda seq: msgspec.structs.replace(done(seq), job_id=job.job_id, kind="snapshots", stats=stats)
            )

        agent._on_job = end
        host = credential.name
        listed = (await typed(shared_server, "jobs", "snapshots", host, "--plan", "home", TZ="UTC")).stdout.splitlines()
        ran = (await typed(shared_server, "jobs", "run", host, "snapshots", "--wait", TZ="UTC")).stdout
        as_json = await found(shared_server, "jobs", "snapshots", host)
    assert listed[0].split() == ["TIME", "ID", "PLAN", "HOST", "SIZE", "PATHS"]
    assert listed[1].split()[2:] == ["bbbb2222", "-", "nas1", "18.2", "GB", "/srv\N{REPLACEMENT CHARACTER}[2J"]
    assert listed[2].split()[2:] == ["aaaa1111", "home", "nas1", "-", "/home,", "/etc"]
    assert "{'id'" not in ran
    assert '"id"' not in ran
    assert all(line in ran.splitlines() for line in listed)
    assert [each["id"] for each in as_json] == ["bbbb2222", "aaaa1111"]


async def test_a_job_that_went_wrong_says_so_in_words(shared_server: Server) -> None:
    credential = await enroll_host(shared_server, f"wrong-{ids.new()}")
    async with simulated(shared_server, credential) as [agent]:

        def end(job: wire.RunJob) -> None:
            failed = ended("home", "failed", error="Fatal: wrong password or no key found")
            agent.report(lambda seq: msgspec.structs.replace(failed(seq), job_id=job.job_id, kind="snapshots"))

        agent._on_job = end
        done = await typed(shared_server, "jobs", "snapshots", credential.name, code=1)
    assert "Error: the job failed: Fatal: wrong password or no key found" in done.stderr


async def test_a_channel_is_tested_and_its_attempts_are_read(shared_server: Server, sink: Sink) -> None:
    secret = "bearer-of-nothing-good"
    body = {"kind": "webhook", "name": "Tried", "config": {"url": sink.url("/tried"), "bearer_token": secret}}
    await away(lambda: shared_server.ask("POST", "/api/notifications", body))
    assert "delivered (HTTP 200" in (await typed(shared_server, "channels", "test", "tried")).stdout
    assert sink.told("/tried")[0].body["event"] == "alert.test"
    sink.feel("error", path="/tried", status=500)
    assert "500" in (await typed(shared_server, "channels", "test", "tried", code=1)).stderr
    log = await found(shared_server, "channels", "log", "tried")
    assert [entry["ok"] for entry in log] == [False, True]
    shown = (await typed(shared_server, "channels", "show", "tried")).stdout
    assert "(set)" in shown
    assert secret not in shown
    assert "Tried" in (await typed(shared_server, "channels", "list")).stdout
    [channel] = [item for item in await found(shared_server, "channels", "list") if item["name"] == "Tried"]
    await away(lambda: shared_server.ask("DELETE", f"/api/notifications/{channel['id']}"))


async def test_trouble_has_a_sentence_and_an_exit_code(shared_server: Server, tmp_path: Path) -> None:
    viewer = shared_server.admin("create-api-token", "--name", "viewer", "--role", "viewer")
    nobody = f"http://127.0.0.1:{free_port()}"
    assert "create-api-token" in (await typed(shared_server, "hosts", "list", code=2, token="")).stderr
    assert "HTTP 401" in (await typed(shared_server, "hosts", "list", code=4, token="rma_wrong")).stderr
    refused = await typed(shared_server, "alerts", "ack", "01ARZ3NDEKTSV4RRFFQ69G5FAV", code=4, token=viewer)
    assert "operator" in refused.stderr
    assert "cannot be reached" in (await typed(shared_server, "hosts", "list", code=3, RM_SERVER=nobody)).stderr
    assert "URL" in (await typed(shared_server, "hosts", "list", code=2, RM_SERVER="backup.example.org")).stderr
    await typed(shared_server, "alerts", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV", code=1)
    await typed(shared_server, "alerts", "show", "../hosts", code=1)
    await typed(shared_server, "alerts", "list", "--severity", "loud", code=2)
    wrong_port = f"http://127.0.0.1:{shared_server.agent_port}"
    done = await typed(shared_server, "hosts", "list", code=1, RM_SERVER=wrong_port)
    assert done.stderr


async def test_the_token_comes_from_a_file_or_standard_input_too(shared_server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(shared_server.token + "\n")
    await typed(shared_server, "hosts", "list", "--token-file", str(tmp_path / "token"), token="")
    await typed(shared_server, "hosts", "list", token="", RM_TOKEN_FILE=str(tmp_path / "token"))
    await typed(shared_server, "hosts", "list", "--token-file", "-", token="", code=2)  # an empty standard input
    await typed(shared_server, "hosts", "list", "--token-file", "/nowhere", token="", code=2)


async def test_a_reader_that_has_seen_enough_is_no_error(shared_server: Server, agent: SimulatedAgent) -> None:
    variables = environment({"RM_SERVER": shared_server.url, "RM_TOKEN": shared_server.token})
    line = f"{sys.executable} -m rmactors alerts list --status all --all --json | head -c 20"
    done = await away(
        lambda: subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60
        )
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


BASE_ALONE = """
import sys
for name in ("quart", "hypercorn", "httpx", "jinja2", "cryptography", "argon2"): sys.modules[name] = None
from rmactors.cli.main import main
main()
"""


def complete(words: str, script: str | None = None) -> list[str]:
    """What bash is offered behind these words, the last of which is being typed."""
    count = len(words.split(" ")) - 1
    variables = {"_RMACTORS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    # click names the variable after the program: called as a script, that is argv[0].
    code = (script or "from rmactors.cli.main import main\nmain()").replace("main()", "main(prog_name='rmactors')")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(variables), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("script", [None, BASE_ALONE])
def test_a_shell_completes_commands_and_options(script: str | None) -> None:
    assert {"alerts", "agent", "admin"} <= set(complete("rmactors a", script))
    assert complete("rmactors alerts a", script) == ["ack"]
    assert complete("rmactors alerts list --status r", script) == ["resolved"]
    assert "--severity" in complete("rmactors alerts list --s", script)
    assert complete("rmactors snapshots f", script) == ["find"]
    assert "--plan" in complete("rmactors snapshots nas --p", script)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_must_read_is_printed(shell: str) -> None:
    done = subprocess.run([*COMMAND, "completion", shell], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert "_RMACTORS_COMPLETE" in done.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, timeout=120).returncode == 0
