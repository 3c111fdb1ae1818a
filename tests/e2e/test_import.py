"""`rmactors agent import` on a host with a real agent's credential, against a real server, and the line it gives."""

import json
import subprocess
from pathlib import Path

import pytest

from harness.cheap_key import new_repository
from harness.processes import COMMAND, ROOT, Server, away, environment, eventually


def typed(server: Server, *words: object, code: int = 0, **variables: str) -> "subprocess.CompletedProcess[str]":
    given = environment({"RM_SERVER": server.url, "RM_TOKEN": server.token, **variables})
    done = subprocess.run(
        [*COMMAND, "agent", *map(str, words)], cwd=ROOT, env=given, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def state(server: Server, tmp_path: Path) -> Path:
    """The state dir of an agent of this server."""
    token = tmp_path / "token"
    token.write_text(server.enrollment_token())
    typed(
        server,
        "enroll",
        "--server",
        server.agent_url,
        "--token-file",
        token,
        "--name",
        "nas",
        "--state-dir",
        tmp_path / "s",
    )
    return tmp_path / "s"


async def test_the_schedules_are_created_once_and_the_line_reports_to_its_own(
    server: Server, state: Path, tmp_path: Path, restic: str
) -> None:
    repository, password = tmp_path / "repository", "a password"
    new_repository(repository, password)
    source, tab = tmp_path / "files", tmp_path / "crontab"
    source.mkdir()
    (source / "a").write_text("a")
    tab.write_text(
        f"PATH=/usr/bin:/bin\n30 2 * * * RESTIC_PASSWORD='{password}' {restic} -r {repository} --no-cache"
        f" backup {source} >/dev/null\n"
        "0~30 4 * * * restic check\n@reboot restic unlock\n"
    )
    before = tab.read_text()
    options = ("import", "crontab", "--file", tab, "--state-dir", state)

    def go() -> None:
        looked = typed(server, *options, RM_TOKEN="")
        assert "With --write, the schedules are created" in looked.stdout
        assert server.all_items("/api/hosts")[0]["schedules"] == [], "looking needs no token, and creates nothing"
        said = typed(server, *options, "--write").stdout
        name = f"backup {source}"[:100]
        assert f"{name}: created" in said
        assert "check: no schedule: cron expression '0~30 4 * * *'" in said
        assert "unlock: no schedule: no time is known" in said
        assert f"{name}: is there already\n" in typed(server, *options, "--write").stdout
        [schedule] = server.all_items("/api/hosts")[0]["schedules"]
        assert (schedule["name"], schedule["mode"], schedule["cron"]) == (name, "external", "30 2 * * *")
        server.ask("PATCH", f"/api/schedules/{schedule['id']}", {"grace_seconds": 99})
        assert "stays as it is; different: grace_seconds" in typed(server, *options, "--write").stdout
        assert tab.read_text() == before

        [found, *_] = json.loads(typed(server, *options, "--json").stdout)
        assert found["schedule"]["name"] == name
        command = found["exec"].removeprefix("30 2 * * * ")
        done = subprocess.run(
            ["sh", "-c", command], env=environment({}), cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr

        def jobs() -> list[object]:
            return [(job["kind"], job["status"], job["schedule_id"]) for job in server.all_items("/api/jobs")]

        eventually(lambda: jobs() == [("backup", "succeeded", schedule["id"])], 60, lambda: f"the jobs are {jobs()}")
        tab.write_text(found["exec"] + "\n")
        again = json.loads(typed(server, *options, "--json").stdout)
        assert [(each["name"], each["how"]) for each in again] == [(name, "as it is: its runs are reported already")]

    await away(go)


async def test_what_goes_wrong_is_said(server: Server, state: Path, tmp_path: Path) -> None:
    tab = tmp_path / "x.timer"
    tab.write_text("[Timer]\nOnCalendar=@0\n")
    (tmp_path / "x.service").write_text("[Service]\nExecStart=restic check\n")
    options = ("import", "systemd", "--file", tab)

    def go() -> None:
        assert "none of systemd" in typed(server, "import", "borg", code=2).stderr
        assert "--file needs one source" in typed(server, "import", "--file", tab, code=2).stderr
        nowhere = typed(server, *options, "--write", "--state-dir", tmp_path / "none", code=1).stderr
        assert "which host this is says the agent's credential" in nowhere
        refused = typed(server, *options, "--write", "--state-dir", state, code=1)
        assert "x: not created: on_calendar:" in refused.stdout
        assert "1 of 1 could not be created" in refused.stderr
        viewer = server.admin("create-api-token", "--name", "look", "--role", "viewer")
        tab.write_text("[Timer]\nOnCalendar=daily\n")
        typed(server, *options, "--write", "--state-dir", state, code=4, RM_TOKEN=viewer)
        [host] = server.all_items("/api/hosts")
        server.ask("DELETE", f"/api/hosts/{host['id']}")
        gone = typed(server, *options, "--write", "--state-dir", state, code=1).stderr
        assert "this server does not know this host" in gone

    await away(go)
