"""`rmactors export` and `rmactors apply` against real servers, as somebody with files in Git would use them."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.agents import enroll_host
from harness.processes import COMMAND, Server, away, eventually, running_server
from rmactors.client.configuration import applying, reading
from rmactors.client.configuration.secret_values import Secrets
from rmactors.client.connection import Api, ApiError

SECRETS = {
    "RM_CHANNEL_OPS_MAIL_PASSWORD": "pa$$ word",
    "RM_CHANNEL_HOOK_SIGNING_SECRET": "signing secret 1",
    "RM_CHANNEL_HOOK_SIGNING_SECRET_2": "signing secret 2",
}
HOSTS = ("nas", "db-01", 'Büro "2"')
EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "config.toml"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Server]:
    """An empty server."""
    with running_server(tmp_path / "other") as running:
        yield running


async def with_hosts(*servers: Server, names: tuple[str, ...] = HOSTS) -> None:
    for each in servers:
        for name in names:
            await enroll_host(each, name)


def typed(
    server: Server, *words: str | Path, code: int = 0, token: str | None = None, stdin: str = "", **variables: str
) -> "subprocess.CompletedProcess[str]":
    """The command as a process of its own; it must end with `code`."""
    given = {"RM_SERVER": server.url, "RM_TOKEN": server.token if token is None else token, **variables}
    done = subprocess.run(
        [*COMMAND, *map(str, words)], env={**server.environment, **given}, capture_output=True, text=True, input=stdin,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert server.token not in done.stdout + done.stderr
    assert not [value for value in SECRETS.values() if value in done.stdout + done.stderr]
    return done


def entries(text: str) -> Any:
    return tomllib.loads(text)


def fill(server: Server) -> None:
    """Something of everything."""
    hosts = {host["name"]: host["id"] for host in server.all_items("/api/hosts")}

    def schedule(host: str, **body: object) -> None:
        server.ask("POST", f"/api/hosts/{hosts[host]}/schedules", body)

    server.ask("PATCH", f"/api/hosts/{hosts['nas']}", {"tags": ["prod", "files"]})
    schedule(
        "nas", name="Nightly home", kind="backup", cron="30 2 * * *", timezone="Europe/Berlin", max_age_hours=30,
        params={"plan": "home"}, on_partial="ok", max_runtime_seconds=7200.5,
    )  # fmt: skip
    schedule("nas", name="test", kind="restore_test", cron="@weekly", params={"sample_files": 5, "plan": 'a "b"\\c'})
    schedule("db-01", name="timer", kind="backup", on_calendar="Mon..Fri 02:30", mode="external", grace_seconds=3660)
    schedule("db-01", name="laptop", kind="backup", every_hours=24, enabled=False)
    schedule(HOSTS[2], name="same name", kind="check", cron="0 1 * * *")
    schedule(HOSTS[2], name="same name", kind="check", cron="0 2 * * *")
    policy = {"cron": "0 1 * * *", "timezone": "Europe/Berlin", "spread_minutes": 60, "params": {"plan": "home"}}
    server.ask("POST", "/api/policies", {"name": "prod", "kind": "backup", "host_tags": ["prod", "db"], **policy})
    away_from = {"on_calendar": "daily", "mode": "external", "enabled": False, "grace_seconds": 60}
    server.ask("POST", "/api/policies", {"name": "Büro", "kind": "check", "host_tags": ["files"], **away_from})
    smtp = {
        "host": "127.0.0.1", "port": 587, "username": "rm", "password": SECRETS["RM_CHANNEL_OPS_MAIL_PASSWORD"],
        "from": "rm@example.org", "to": "ops@example.org",
    }  # fmt: skip
    server.channel("smtp", "Ops mail", smtp, host_tags=["prod"], digest={"cron": "0 8 * * 1", "timezone": "Asia/Tokyo"})
    for number in ("", "_2"):  # two of the same name
        hook = {
            "url": f"http://127.0.0.1:9/{number}",
            "signing_secret": SECRETS[f"RM_CHANNEL_HOOK_SIGNING_SECRET{number}"],
        }
        hook |= {"body_template": 'line 1\nline "2" """ {{ message }}\n', "content_type": "text/plain"}
        quiet = {"from": "22:00", "to": "07:00", "days": ["sun", "mon"]}
        server.channel(
            "webhook", "hook", hook, enabled=False, quiet_hours=quiet, events=["alert.raised"], group_seconds=30
        )
    window = {"cron": "0 2 * * 0", "duration_minutes": 60}
    server.ask("POST", "/api/silences", {"reason": "patch day", "recurrence": window, "tag": "prod"})
    end = "2099-01-01T00:00:00Z"
    server.ask("POST", "/api/silences", {"reason": "move", "host_id": hosts["nas"], "ends_at": end})
    server.ask("POST", "/api/silences", {"reason": "move", "host_id": hosts["nas"], "ends_at": end})
    for name, role in (("anna", "operator"), ("zoë", "admin"), ("bert", "admin")):
        user = server.ask("POST", "/api/users", {"username": name, "password": "a long enough phrase", "role": role})
        if name == "bert":
            server.ask("PATCH", f"/api/users/{user['id']}", {"disabled": True})


async def test_what_was_exported_changes_nothing_where_it_was_and_makes_an_empty_server_equal(
    server: Server, other: Server, tmp_path: Path
) -> None:
    await with_hosts(server, other)
    await away(lambda: fill(server))
    file, again = tmp_path / "fleet.toml", tmp_path / "again.toml"

    def go() -> None:
        typed(server, "export", file)
        assert not [value for value in SECRETS.values() if value in file.read_text()]
        made = {
            each["name"] for host in server.all_items("/api/hosts") for each in host["schedules"] if each["policy_id"]
        }
        assert made
        assert not made & {each["name"] for each in entries(file.read_text())["schedules"]}, "policies make them"
        audit = server.all_items("/api/audit")
        for options in ([], ["--prune"], ["--dry-run", "--prune"]):
            assert typed(server, "apply", file, *options, **SECRETS).stdout == "nothing differs\n"
        kept = typed(server, "apply", file)
        assert kept.stdout == "nothing differs\n"
        assert "RM_CHANNEL_OPS_MAIL_PASSWORD is not set; the stored password stays" in kept.stderr
        assert server.all_items("/api/audit") == audit, "nothing was changed"

        dry = typed(other, "apply", file, "--dry-run", code=3, **SECRETS).stdout
        assert other.all_items("/api/notifications") == []
        done = typed(other, "apply", file, **SECRETS)
        assert done.stdout.splitlines()[:-1] == dry.splitlines(), "it does what the dry run said"
        assert "anna cannot sign in with a password yet" in done.stderr
        assert typed(other, "apply", file, "--prune", **SECRETS).stdout == "nothing differs\n"
        typed(other, "export", again)
        assert entries(again.read_text()) == entries(file.read_text())
        for each in other.all_items("/api/notifications"):  # the secrets came along, and each to its own channel
            assert {"set": True} in each["config"].values()

    await away(go)


async def test_a_secret_that_changed_is_noticed_and_goes_nowhere_else(server: Server, tmp_path: Path) -> None:
    file, secret = tmp_path / "fleet.toml", tmp_path / "token"
    secret.write_text("the first one\n")
    file.write_text(
        '[[channels]]\nname = "hook"\nkind = "webhook"\n[channels.config]\nurl = "http://127.0.0.1:9/x"\n'
        'bearer_token = { file = "token" }\n'
    )

    def go() -> None:
        typed(server, "apply", file)
        assert typed(server, "apply", file).stdout == "nothing differs\n"
        secret.write_text("the second one")
        viewer = server.admin("create-api-token", "--name", "look", "--role", "viewer")
        looked = typed(server, "apply", file, "--dry-run", token=viewer)
        assert "its secrets were not compared: only an admin's token may" in looked.stderr
        changed = typed(server, "apply", file).stdout
        assert "~ channel hook\n    config.bearer_token: another secret\n" in changed
        assert "second" not in changed
        assert typed(server, "apply", file, "--dry-run").stdout == "nothing differs\n"

        secret.unlink()
        assert "the stored bearer_token stays" in typed(server, "apply", file, "--dry-run").stderr
        file.write_text(file.read_text().replace("127.0.0.1:9/x", "127.0.0.1:10/x"))
        refused = typed(server, "apply", file, code=1).stderr
        assert "config.bearer_token: must be given again or cleared" in refused, "a stored one is not led elsewhere"
        file.write_text(file.read_text().replace('bearer_token = { file = "token" }\n', ""))
        cleared = typed(server, "apply", file).stdout
        assert "config.bearer_token: set → not set" in cleared
        assert typed(server, "apply", file).stdout == "nothing differs\n"

    await away(go)


async def test_nothing_is_changed_where_one_thing_is_wrong_and_each_is_named(server: Server, tmp_path: Path) -> None:
    await with_hosts(server)
    file = tmp_path / "fleet.toml"

    def refused(text: str, *words: str, **variables: str) -> str:
        file.write_text(text)
        before = server.all_items("/api/audit")
        said = typed(server, "apply", file, *words, code=1, **variables).stderr
        assert server.all_items("/api/audit") == before
        return said

    def go() -> None:
        good = '[[hosts]]\nname = "nas"\ntags = ["new"]\n'
        said = refused(good + '[[schedules]]\nhost = "nas"\nname = "x"\nkind = "backup"\ncron = "99 * * * *"\n'
                       '[[channels]]\nname = "c"\nkind = "ntfy"\n[channels.config]\ntopic = ""\n')  # fmt: skip
        assert (
            f"Error: {file}: [[schedules]] number 1 (nas / x): cron: cron expression '99 * * * *': bad minute" in said
        )
        assert "[[channels]] number 1 (c): config.topic:" in said
        assert "nothing was changed: 2 faults" in said
        said = refused(good + '[[schedules]]\nhost = "gone"\nname = "x"\nkind = "backup"\ncron = "@daily"\n')
        assert "host: the server has no host 'gone': enroll it first, or take this out" in said
        said = refused(good + '[[channels]]\nname = "c"\nkind = "webhook"\n[channels.config]\nurl = "http://127.0.0.1:9"\n'
                       'bearer_token = { env = "NOWHERE" }\n')  # fmt: skip
        assert "config.bearer_token: the environment variable NOWHERE is not set, and the server has none" in said
        said = refused(good + '[[channels]]\nname = "c"\nkind = "webhook"\n[channels.config]\nurl = "http://127.0.0.1:9"\n'
                       'bearer_token = "in clear"\n')  # fmt: skip
        assert "config.bearer_token: is a secret, which belongs in no file" in said
        assert "in clear" not in said
        said = refused(
            good + '[[users]]\nusername = "eva"\nrole = "viewer"\npassword = { env = "WEAK" }\n', WEAK="short"
        )
        assert "[[users]] number 1 (eva): password: Use at least" in said
        said = refused(good + '[[users]]\nusername = "eva"\nrole = "admin"\ndisabled = true\n')
        assert "no user would be left who is an admin" in said
        said = refused(
            '[[policies]]\nname = "p"\nhost_tags = []\nkind = "backup"\ncron = "@daily"\nspread_minutes = 9\n'
        )
        assert "[[policies]] number 1 (p): host_tags: must name at least one tag" in said
        assert "is not TOML: " in refused(good + "x = \n")

    await away(go)


async def test_prune_deletes_what_the_file_does_not_name_but_no_host_and_not_the_callers_user(
    server: Server, tmp_path: Path
) -> None:
    await with_hosts(server)
    await away(lambda: fill(server))
    file = tmp_path / "fleet.toml"
    file.write_text('[[schedules]]\nhost = "NAS"\nname = "Nightly home"\nkind = "backup"\ncron = "30 2 * * *"\n')

    def go() -> None:
        stays = typed(server, "apply", file).stdout
        assert '    timezone: "Europe/Berlin" → "UTC"\n' in stays, "what is left out is as it is by default"
        assert len(server.all_items("/api/notifications")) == 3, "without --prune nothing else is touched"

        said = typed(server, "apply", file, "--prune")
        assert "- channel Ops mail\n" in said.stdout
        assert "- schedule db-01 / laptop\n" in said.stdout
        assert "- silence patch day / prod\n" in said.stdout
        assert "the file has no [[users]]: all users stay" in said.stderr
        assert server.all_items("/api/notifications") == server.all_items("/api/silences") == []
        hosts = server.all_items("/api/hosts")
        assert {host["name"] for host in hosts} == set(HOSTS)
        assert [each["name"] for host in hosts for each in host["schedules"]] == ["Nightly home"]
        assert [host["tags"] for host in hosts if host["name"] == "nas"] == [["prod", "files"]]

        file.write_text('[[users]]\nusername = "anna"\nrole = "admin"\n')
        said = typed(server, "apply", file, "--prune")
        assert "- user bert\n" in said.stdout
        assert [(user["username"], user["role"]) for user in server.all_items("/api/users")] == [("anna", "admin")]
        assert typed(server, "apply", file, "--prune").stdout == "nothing differs\n"

    await away(go)


async def test_what_a_policy_makes_is_changed_through_the_policy(server: Server, tmp_path: Path) -> None:
    await with_hosts(server)
    file = tmp_path / "fleet.toml"
    policy = '[[policies]]\nname = "nightly"\nhost_tags = ["prod"]\nkind = "backup"\ncron = "0 1 * * *"\n'
    file.write_text('[[hosts]]\nname = "nas"\ntags = ["prod"]\n' + policy)

    def go() -> None:
        typed(server, "apply", file)
        [nas] = [host for host in server.all_items("/api/hosts") if host["name"] == "nas"]
        [made] = nas["schedules"]
        assert made["policy_id"] is not None
        assert typed(server, "apply", file, "--prune").stdout == "nothing differs\n", "its schedules are not pruned"
        file.write_text(file.read_text().replace('cron = "0 1 * * *"', "every_hours = 12"))
        assert 'cron: "0 1 * * *" → not set' in typed(server, "apply", file).stdout
        assert server.ask("GET", f"/api/schedules/{made['id']}")["every_hours"] == 12
        schedule = f'[[schedules]]\nhost = "nas"\nname = "{made["name"]}"\nkind = "backup"\ncron = "@daily"\n'
        file.write_text(file.read_text() + schedule)
        said = typed(server, "apply", file, code=1).stderr
        assert "a policy makes this schedule: take it out, and change the policy" in said
        file.write_text('[[hosts]]\nname = "nas"\ntags = ["prod"]\n')
        assert "- policy nightly\n" in typed(server, "apply", file, "--prune").stdout
        assert server.ask("GET", f"/api/hosts/{nas['id']}")["schedules"] == []

    await away(go)


async def test_a_token_that_may_not_changes_nothing(server: Server, tmp_path: Path) -> None:
    await with_hosts(server)
    file = tmp_path / "fleet.toml"
    file.write_text(
        '[[hosts]]\nname = "nas"\ntags = ["prod"]\n'
        '[[schedules]]\nhost = "nas"\nname = "x"\nkind = "backup"\ncron = "@daily"\n'
    )

    def go() -> None:
        tokens = {
            role: server.admin("create-api-token", "--name", role, "--role", role) for role in ("viewer", "operator")
        }
        assert typed(server, "apply", file, token="rma_broken", code=4).stdout == ""
        for role, token in tokens.items():
            assert typed(server, "apply", file, "--dry-run", token=token, code=3).stdout.endswith(
                "1 to add, 1 to change, 0 to delete\n"
            )
            said = typed(server, "apply", file, token=token, code=4).stderr
            assert f"nothing was changed: '~ host nas' needs the role admin, and this token is {role}" in said
            assert [host["schedules"] for host in server.all_items("/api/hosts")] == [[], [], []]
        file.write_text(file.read_text().partition("[[schedules]]")[2].join(["[[schedules]]", ""]))
        typed(server, "apply", file, token=tokens["operator"])
        looked = typed(server, "export", token=tokens["viewer"])
        assert "users are left out: this token may not see them" in looked.stderr
        assert [each["name"] for each in entries(looked.stdout)["schedules"]] == ["x"]

    await away(go)


async def test_a_server_that_dies_in_the_middle_gets_the_rest_at_the_next_run(
    server: Server, other: Server, tmp_path: Path
) -> None:
    await with_hosts(server, other)
    await away(lambda: fill(server))
    file, again = tmp_path / "fleet.toml", tmp_path / "again.toml"

    def go() -> None:
        typed(server, "export", file)
        api = Api(other.url, other.token)
        plan = applying.plan(api, reading.read(file.read_text()), Secrets(SECRETS, tmp_path), prune=True)
        done: list[object] = []

        def one_more(change: object) -> None:
            done.append(change)
            if len(done) == 5:
                other.kill()

        with pytest.raises(ApiError):
            applying.carry_out(api, plan.changes, one_more)
        api.close()
        assert len(done) == 5
        assert "cannot be reached" in typed(other, "apply", file, code=1, **SECRETS).stderr
        other.start()
        said = typed(other, "apply", file, "--prune", **SECRETS).stdout
        assert f"done: {len(plan.changes) - 5} changes" in said
        typed(other, "export", again)
        assert entries(again.read_text()) == entries(file.read_text())

    await away(go)


async def test_a_change_that_the_server_refuses_says_what_was_done_and_what_was_not(
    server: Server, tmp_path: Path
) -> None:
    await with_hosts(server)
    api = Api(server.url, server.token)
    text = "".join(f'[[schedules]]\nhost = "nas"\nname = "s{n}"\nkind = "check"\ncron = "@daily"\n' for n in range(3))

    def go() -> None:
        plan = applying.plan(api, reading.read(text), Secrets({}, tmp_path), prune=False)
        [nas] = [host for host in server.all_items("/api/hosts") if host["name"] == "nas"]
        done: list[object] = []

        def one_more(change: object) -> None:
            done.append(change)
            if len(done) == 1:  # between the check and the change
                server.ask("DELETE", f"/api/hosts/{nas['id']}")

        with pytest.raises(ApiError, match="404"):
            applying.carry_out(api, plan.changes, one_more)
        assert len(done) == 1
        api.close()

    await away(go)


async def test_ctrl_c_says_what_was_done_and_the_next_run_does_the_rest(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "silences.toml"
    end = "2099-01-01T00:00:00Z"
    file.write_text(
        "".join(f'[[silences]]\nreason = "r{n}"\nends_at = "{end}"\nkind = "backup_failed"\n' for n in range(300))
    )
    given = {**server.environment, "RM_SERVER": server.url, "RM_TOKEN": server.token}

    def go() -> None:
        command = [*COMMAND, "apply", str(file)]
        with subprocess.Popen(
            command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:  # fmt: skip
            eventually(lambda: bool(server.ask("GET", "/api/silences?limit=1")["items"]), 60, lambda: server.log, 0)
            os.kill(server.pid, signal.SIGSTOP)  # so that some are left
            try:
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
            finally:
                os.kill(server.pid, signal.SIGCONT)
        assert process.returncode == 1
        told = re.search(
            r"^(\d+) of 300 changes were made; whether this one was is not known: \+ silence r", said, re.M
        )
        assert told, said
        assert "Run it again to make the others" in said
        done = re.search(r"^done: (\d+) changes$", typed(server, "apply", file).stdout, re.M)
        assert done
        assert int(told[1]) + int(done[1]) in (299, 300)
        assert len({each["reason"] for each in server.all_items("/api/silences")}) == 300

    await away(go)


async def test_what_the_server_cannot_show_is_said_and_left_alone(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"

    def go() -> None:
        for name in ("fine", "broken"):
            server.webhook("http://127.0.0.1:9/", name)
        with closing(sqlite3.connect(server.data_dir / "rm.db")) as database, database:
            database.execute("UPDATE channels SET config = ? WHERE name = 'broken'", (b"no config",))
        assert "note: channel broken cannot be read: " in typed(server, "export", file).stderr
        assert [each["name"] for each in entries(file.read_text())["channels"]] == ["fine"]
        said = typed(server, "apply", file, "--prune")
        assert said.stdout == "nothing differs\n"
        assert "note: channel broken cannot be read: " in said.stderr

    await away(go)


async def test_for_programs_there_is_json_and_a_pipe(server: Server) -> None:
    await with_hosts(server)

    def go() -> None:
        text = '[[hosts]]\nname = "nas"\ntags = ["prod"]\n'
        said = typed(server, "apply", "-", "--json", "--dry-run", stdin=text, code=3).stdout
        assert json.loads(said) == [
            {"change": "~", "kind": "host", "name": "nas", "details": ['tags: [] → ["prod"]']},
        ]  # fmt: skip
        assert "\x1b" not in typed(server, "apply", "-", stdin=text).stdout
        found = json.loads(typed(server, "export", "--json").stdout)
        assert {"name": "nas", "tags": ["prod"]} in found["hosts"]

    await away(go)


async def test_the_example_can_be_applied_twice(server: Server) -> None:
    names = tuple(each["name"] for each in tomllib.loads(EXAMPLE.read_text())["hosts"])
    await with_hosts(server, names=names)
    variables = example_variables()

    def go() -> None:
        typed(server, "apply", EXAMPLE, **variables)
        assert typed(server, "apply", EXAMPLE, "--prune", **variables).stdout == "nothing differs\n"

    await away(go)


def example_variables() -> dict[str, str]:
    """A value for each variable that the example names."""
    found: dict[str, str] = {}
    for channel in tomllib.loads(EXAMPLE.read_text())["channels"]:
        for value in channel["config"].values():
            if isinstance(value, dict):
                found[value["env"]] = "a long enough secret"
    return found
