"""Notifications on a real server, seen from outside: what is previewed and what arrives, how a channel does, what is
dead and sent again, a forbidden address, a rotated key, a hanging receiver beside a working one."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from harness.agents import ended, enroll_host, simulated
from harness.processes import COMMAND, ROOT, Server, away, eventually
from harness.sink import Sink
from rmactors.simulate.agent import SimulatedAgent
from tests.channels.mailservers import dialogue, mail_server, scripted_server
from tests.channels.receivers import Receiver, Request, answers_as_ntfy, hangs, receiving, replies

SECRETS = {"bearer_token": "secret-1", "header_name": "X-Api-Key", "header_value": "secret-2", "signing_secret": "s-3"}


def make(server: Server, kind: str, config: dict[str, Any], **more: object) -> str:
    body = {"kind": kind, "name": kind, "config": config, **more}
    channel_id: str = server.ask("POST", "/api/notifications", body)["id"]
    return channel_id


def health(server: Server, channel_id: str) -> dict[str, Any]:
    found: dict[str, Any] = server.ask("GET", f"/api/notifications/{channel_id}")["health"]
    return found


async def until(server: Server, channel_id: str, so: Callable[[dict[str, Any]], bool], seconds: float = 120.0) -> None:
    """Wait until something is so of a channel's health."""
    await away(
        lambda: eventually(
            lambda: so(health(server, channel_id)), seconds, lambda: json.dumps(health(server, channel_id))
        )
    )


@asynccontextmanager
async def host(server: Server, name: str = "nas") -> AsyncIterator[SimulatedAgent]:
    async with simulated(server, await enroll_host(server, name)) as [agent]:
        yield agent


async def arrived(receiver: Receiver, count: int) -> list[Request]:
    await away(lambda: eventually(lambda: len(receiver.requests) >= count, 60, lambda: str(receiver.requests)))
    return receiver.requests


def sign_in(server: Server) -> httpx.Client:
    """A browser that signed in as an operator."""
    server.admin("create-user", "--username", "olga", "--role", "operator", RM_PASSWORD="a long enough phrase")
    browser = httpx.Client(base_url=server.url, trust_env=False, timeout=120)
    answer = browser.post("/login", data={"username": "olga", "password": "a long enough phrase", "next": "/"})
    assert answer.status_code == 303
    return browser


# ---- what is previewed is what arrives


@pytest.mark.parametrize(
    ("kind", "config"),
    [("webhook", SECRETS), ("ntfy", {"topic": "backups", "access_token": "secret-4"})],
)
async def test_what_the_preview_shows_is_what_arrives_but_for_secrets_and_the_alert(
    kind: str, config: dict[str, Any], shared_server: Server
) -> None:
    server = shared_server
    answers = answers_as_ntfy if kind == "ntfy" else replies("204 No Content")
    async with receiving(answers) as receiver, host(server, f"nas for {kind}") as agent:
        address = {"url": receiver.url("/x?y=1")} if kind == "webhook" else {"server_url": receiver.url("")}
        body = {"kind": kind, "name": kind, "config": {**config, **address}}
        shown = (await away(lambda: server.ask("POST", "/api/notifications/preview", body)))["request"]
        channel_id = await away(lambda: make(server, kind, body["config"]))
        agent.report(ended("home", error="disk full"))
        [request] = await arrived(receiver, 1)
        await away(lambda: server.ask("DELETE", f"/api/notifications/{channel_id}"))

    assert "secret" not in json.dumps(shown)
    assert request.line == f"{shown['method']} {shown['url'].removeprefix(receiver.url(''))} HTTP/1.1"
    assert request.names == list(shown["headers"])
    for name in request.names:
        sent, previewed = request.headers[name.lower()], shown["headers"][name]
        if "••••" in previewed:
            assert sent.startswith(previewed.partition("••••")[0])
            assert sent != previewed
        elif name in ("Host", "User-Agent", "Content-Type", "Tags", "Priority"):
            assert sent == previewed
    if kind == "webhook":
        assert list(json.loads(request.body)) == list(json.loads(shown["body"]))
    else:
        assert "disk full" in request.body.decode()
        assert shown["headers"]["Title"] == "[warning] nas1 backup_failed"
        assert request.headers["title"] == f"[warning] nas for {kind} backup_failed"


def plain(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
async def test_the_mail_of_the_preview_is_the_mail_that_arrives(shared_server: Server) -> None:
    server = shared_server
    with mail_server() as post:
        config = {"host": "127.0.0.1", "port": post.port, "encryption": "none", "from": "Ops <rm@example.org>",
                  "to": "maria@example.org, Li <li@example.org>"}  # fmt: skip
        body = {"kind": "smtp", "name": "mail", "config": config}
        shown = (await away(lambda: server.ask("POST", "/api/notifications/preview", body)))["mail"]
        channel_id = await away(lambda: make(server, "smtp", config))
        async with host(server, "nas for mail") as agent:
            agent.report(ended("home", error="disk full"))
            await away(lambda: eventually(lambda: bool(post.mails), 60, lambda: "no mail came"))
            agent.report(ended("home", "succeeded"))
            await away(lambda: eventually(lambda: len(post.mails) == 2, 60, lambda: "no second mail came"))
        await away(lambda: server.ask("DELETE", f"/api/notifications/{channel_id}"))
    raised, resolved = (message_from_bytes(mail.content, policy=policy.default) for mail in post.mails)
    previewed = message_from_string(shown, policy=policy.default)
    assert raised.keys() == previewed.keys()
    for name in ("From", "To", "Auto-Submitted", "MIME-Version", "X-Restic-Manager-Event"):
        assert raised[name] == previewed[name]
    assert previewed["Subject"] == "[restic-manager] [warning] nas1: backup_failed"
    assert raised["Subject"] == "[restic-manager] [warning] nas for mail: backup_failed"
    assert [part.get_content_type() for part in raised.walk()] == [part.get_content_type() for part in previewed.walk()]
    names = [line.split(":")[0] for line in plain(previewed).splitlines()[-5:]]
    assert [line.split(":")[0] for line in plain(raised).splitlines()[-5:]] == names
    assert resolved["Subject"] == f"{raised['Subject']} (resolved)"
    assert resolved["In-Reply-To"] == resolved["References"] == raised["Message-ID"]
    assert resolved["Message-ID"] != raised["Message-ID"]
    assert raised["Message-ID"].endswith("@[127.0.0.1]>")


async def test_a_test_send_looks_like_one_on_the_wire_and_is_in_the_log_alone(shared_server: Server) -> None:
    server = shared_server
    async with receiving() as receiver:
        channel_id = await away(lambda: make(server, "webhook", {"url": receiver.url()}, enabled=False))
        path = f"/api/notifications/{channel_id}"
        result = await away(lambda: server.ask("POST", f"{path}/test"))
        receiver.script = replies("503 Service Unavailable", b'{"message": "back at ten"}', retry_after="60")
        failed = await away(lambda: server.ask("POST", f"{path}/test"))
        log = (await away(lambda: server.ask("GET", f"{path}/log")))["items"]
        shown = await away(lambda: server.ask("GET", path))
        await away(lambda: server.ask("DELETE", path))
    assert {key: result[key] for key in ("ok", "status_code", "error", "event")} == {
        "ok": True, "status_code": 204, "error": None, "event": "alert.test",
    }  # fmt: skip
    assert (failed["ok"], failed["error"]) == (False, "503 Service Unavailable: back at ten")
    body = json.loads(receiver.requests[0].body)
    assert (body["event"], body["severity"], body["kind"], body["host_name"], body["host_id"]) == (
        "alert.test", "info", "test", "restic-manager", "",
    )  # fmt: skip
    assert len(body["alert_id"]) == 26
    assert [(entry["ok"], entry["alert_id"]) for entry in log] == [
        (False, json.loads(receiver.requests[1].body)["alert_id"]), (True, body["alert_id"]),
    ]  # fmt: skip
    assert shown["health"]["queued"] == shown["health"]["dead"] == 0
    assert shown["last_fired_at"] == result["fired_at"]


# ---- how a channel does


async def test_a_channels_health_follows_what_happens_to_it(server: Server, sink: Sink) -> None:
    channel_id = await away(lambda: server.webhook(sink.url()))
    idle = {"state": "idle", "since": None, "last_error": None, "queued": 0, "oldest_queued_at": None, "dead": 0,
            "held_until": None, "held_because": None}  # fmt: skip
    assert await away(lambda: health(server, channel_id)) == idle
    async with host(server) as agent:
        agent.report(ended("a"))
        await until(server, channel_id, lambda found: found["state"] == "ok")

        sink.feel("error", status=503)
        agent.report(ended("b"))
        await until(server, channel_id, lambda found: found["state"] == "failing")
        failing = await away(lambda: health(server, channel_id))
        assert (failing["queued"], failing["dead"]) == (1, 0)
        assert failing["last_error"].startswith("503 Service Unavailable")
        assert failing["oldest_queued_at"] <= failing["since"]

        sink.feel("error", status=410)
        await until(server, channel_id, lambda found: found["state"] == "dead")
        dead = await away(lambda: health(server, channel_id))
        assert (dead["queued"], dead["dead"], dead["oldest_queued_at"]) == (0, 1, None)

        sink.feel("up")
        agent.report(ended("c"))
        await until(server, channel_id, lambda found: found["state"] == "ok")
        assert (await away(lambda: health(server, channel_id)))["dead"] == 1, "it is kept until somebody decides"

    log = await away(lambda: server.all_items(f"/api/notifications/{channel_id}/log"))
    codes = [entry["status_code"] for entry in log]
    assert (codes[0], codes[-1], set(codes)) == (200, 200, {200, 503, 410})
    assert [entry["fired_at"] for entry in log] == sorted((entry["fired_at"] for entry in log), reverse=True)


async def test_what_is_dead_is_on_the_alert_and_on_the_channel_and_is_sent_again_from_either_page(
    server: Server, sink: Sink
) -> None:
    channel_id = await away(lambda: server.webhook(sink.url()))
    sink.feel("error", status=400)
    async with host(server) as agent:
        agent.report(ended("a"))
        agent.report(ended("b"))
        await until(server, channel_id, lambda found: found["dead"] == 2)
    sink.feel("up")
    alerts = await away(lambda: server.all_items("/api/alerts"))
    with closing(await away(lambda: sign_in(server))) as browser:
        log_page = (await away(lambda: browser.get(f"/settings/notifications/{channel_id}/log"))).text
        for alert in alerts:
            page = (await away(lambda alert=alert: browser.get(f"/alerts/{alert['id']}"))).text
            shown = await away(lambda alert=alert: server.ask("GET", f"/api/alerts/{alert['id']}"))
            [dead] = [entry for entry in shown["timeline"] if entry["event"] == "dead"]
            assert (dead["channel_id"], dead["channel_name"], dead["status_code"]) == (channel_id, "ops", 400)
            again = f"/deliveries/{dead['delivery_id']}/retry"
            assert again in page
            assert again in log_page
            answer = await away(lambda again=again: browser.post(again, data={"next": "/alerts"}))
            assert answer.status_code == 303
    told = await sink.until_told(2)
    assert {request.body["delivery_id"] for request in told} == {
        request.body["delivery_id"] for request in sink.requests if request.status == 400
    }
    await until(server, channel_id, lambda found: (found["state"], found["queued"], found["dead"]) == ("ok", 0, 0))
    for alert in alerts:
        shown = await away(lambda alert=alert: server.ask("GET", f"/api/alerts/{alert['id']}"))
        assert [entry["event"] for entry in shown["timeline"]] == ["raised", "dead", "delivered"]


async def test_a_redirect_is_not_followed_but_may_be_a_proxys_and_is_tried_again(
    shared_server: Server, sink: Sink
) -> None:
    server, moved = shared_server, replies("307 Temporary Redirect", location=sink.url())
    async with receiving(moved) as mover, host(server, "nas for a redirect") as agent:
        channel_id = await away(lambda: server.webhook(mover.url()))
        agent.report(ended("a"))
        await until(server, channel_id, lambda found: found["state"] == "failing")
        found = await away(lambda: health(server, channel_id))
        mover.script = replies("204 No Content")
        agent.report(ended("b"))
        await until(server, channel_id, lambda found: (found["state"], found["queued"], found["dead"]) == ("ok", 0, 0))
        await away(lambda: server.ask("DELETE", f"/api/notifications/{channel_id}"))
    assert found["last_error"] == f"307 Temporary Redirect: redirects are not followed (to {sink.url()})"
    subjects = [json.loads(request.body)["subject"] for request in mover.requests]
    assert subjects[0] == "plan:a"
    assert sorted(subjects[-2:]) == ["plan:a", "plan:b"]
    assert sink.requests == []


async def test_an_address_that_is_forbidden_since_is_dead_at_once_and_goes_out_when_it_is_allowed_again(
    server: Server, sink: Sink
) -> None:
    channel_id = await away(lambda: server.webhook(sink.url().replace("127.0.0.1", "localhost")))
    await away(server.stop)
    server.settings["outbound_allow"] = "external,private"
    await away(server.start)
    async with host(server) as agent:
        agent.report(ended("a"))
        await until(server, channel_id, lambda found: found["dead"] == 1)
    found = await away(lambda: health(server, channel_id))
    assert found["last_error"].startswith("RM_OUTBOUND_ALLOW does not allow localhost")
    assert sink.requests == []
    tested = await away(lambda: server.ask("POST", f"/api/notifications/{channel_id}/test"))
    assert (tested["ok"], tested["status_code"]) == (False, None)
    await away(server.stop)
    server.settings["outbound_allow"] = "loopback"
    await away(server.start)
    log = await away(lambda: server.all_items(f"/api/notifications/{channel_id}/log"))
    [dead] = [entry["delivery_id"] for entry in log if entry["event"] == "alert.raised"]
    await away(lambda: server.ask("POST", f"/api/deliveries/{dead}/retry"))
    [told] = await sink.until_told(1)
    assert told.body["delivery_id"] == dead


# ---- one party slows nobody else; nothing is lost


async def test_hanging_receivers_of_every_kind_hold_up_nobody_else(server: Server, sink: Sink) -> None:
    async with receiving(hangs) as stuck:
        with scripted_server(dialogue(b"")) as (hole, _):
            await away(lambda: server.webhook(stuck.url(), "stuck"))
            await away(lambda: make(server, "ntfy", {"server_url": stuck.url(""), "topic": "t"}))
            mail = {"host": "127.0.0.1", "port": hole, "encryption": "none", "from": "a@b.example", "to": "c@d.example"}
            await away(lambda: make(server, "smtp", mail))
            good = await away(lambda: server.webhook(sink.url(), "good"))
            async with host(server) as agent:
                for n in range(100):
                    agent.report(ended(f"p{n}"))
                told = await sink.until_told(100)
            assert {request.body["subject"] for request in told} == {f"plan:p{n}" for n in range(100)}
            await until(server, good, lambda found: found["queued"] == 0)
            assert (await away(lambda: httpx.get(f"{server.url}/healthz", trust_env=False))).status_code == 200
            code, _ = await away(server.stop)
    assert code == 0, "sends in flight are no reason not to end"


async def test_a_queue_of_hundreds_survives_sigkill_and_a_change_of_address(server: Server, sink: Sink) -> None:
    sink.feel("down")
    channel_id = await away(lambda: server.webhook(sink.url("/old")))
    async with host(server) as agent:
        for n in range(300):
            agent.report(ended(f"p{n}"))
        await until(server, channel_id, lambda found: found["queued"] == 300)
    await away(server.kill)
    await away(server.start)
    body = {"kind": "webhook", "name": "ops", "config": {"url": sink.url("/new")}}
    await away(lambda: server.ask("PUT", f"/api/notifications/{channel_id}", body))
    sink.feel("up")
    await until(server, channel_id, lambda found: found["queued"] == 0)
    told = sink.told("/new")
    assert {request.body["subject"] for request in told} == {f"plan:p{n}" for n in range(300)}
    assert len(told) == 300
    assert sink.told("/old") == []


# ---- the key


def rotate(server: Server) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "keys", "rotate"], cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=60
    )


async def test_a_key_is_rotated_under_a_running_server_and_a_wrong_one_stops_the_next_start(server: Server) -> None:
    key_file = server.data_dir / "secret.key"
    async with receiving() as receiver:
        channel_id = await away(lambda: make(server, "webhook", {"url": receiver.url(), "bearer_token": "secret-1"}))
        path = f"/api/notifications/{channel_id}"
        old = key_file.read_bytes()
        done = await away(lambda: rotate(server))
        assert done.returncode == 0, done.stderr
        assert key_file.read_bytes() != old
        channel = await away(lambda: server.ask("GET", path))
        await away(lambda: server.ask("PUT", path, {**channel, "name": "renamed"}))  # sealed under the new key
        await away(lambda: server.ask("POST", f"{path}/test"))
        async with host(server) as agent:
            agent.report(ended("a"))
            requests = await arrived(receiver, 2)
        assert [request.headers["authorization"] for request in requests] == ["Bearer secret-1"] * 2
        await away(server.stop)

        for wrong in (old, None, b"c2hvcnQ=\n"):
            new = key_file.read_bytes()
            if wrong is None:
                key_file.unlink()
            else:
                key_file.write_bytes(wrong)
            server.log_file.write_text("")
            server.spawn()
            assert server.process is not None
            process = server.process
            assert await away(lambda process=process: process.wait(60)) == 1
            last = server.log.strip().splitlines()[-1]
            assert last.startswith("rmactors server: ")
            assert "secret" in last or "key file" in last, last
            assert "Traceback" not in server.log
            key_file.write_bytes(new)
            key_file.chmod(0o600)
        await away(server.start)
        result = await away(lambda: server.ask("POST", f"{path}/test"))
        assert result["ok"]
