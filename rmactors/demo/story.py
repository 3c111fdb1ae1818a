"""What the demo does, in order: a server, a login, a sink, an agent, and three backups."""

import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import trio

from rmactors.agent.agent_file import parse
from rmactors.agent.daemon import run_agent
from rmactors.agent.enrollment import enroll
from rmactors.common import clock, ids
from rmactors.common.vocabulary import Role
from rmactors.demo.backups import GET_RESTIC, PLAN_BAD, PLAN_OK, of_this_machine
from rmactors.demo.sink import Sink
from rmactors.server.channels.answers import judge_http
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import HttpEndpoint
from rmactors.server.channels.registry import shared_ssl_context
from rmactors.server.channels.request import make_request
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.messages.accounts import CreateUser
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.made_tokens import CreateApiToken, CreateEnrollmentToken
from rmactors.server.store.offline import commit_here
from rmactors.server.tree import Server, serve
from rmactors.server.web.auth.passwords import Passwords

PORT = 8080
USER = "demo"
PATIENCE_SECONDS = 60.0


async def tell(once: bool, stop: trio.Event) -> bool:
    """Run the demo until `stop`, or with `once` until raise and resolve have arrived. Returns whether they have."""
    with tempfile.TemporaryDirectory(prefix="rmactors-demo-") as name:
        folder = Path(name)
        server = Server(_settings(folder))
        served = trio.Event()

        async def run_server() -> None:
            await serve(server)
            served.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_server)
            await server.ready.wait()
            sink = Sink()
            port = await nursery.start(sink.serve)
            password = await trio.to_thread.run_sync(_make_user, server.settings)
            await _make_channel(server.settings, port)
            await nursery.start(_agent, server.settings, folder / "agent")
            _introduce(server.settings, password)
            told = await _backups(folder, sink, stop)
            if told and not once:
                click.echo("\nThat was all. The server goes on until Ctrl-C: look around, acknowledge, try a channel.")
                await stop.wait()
            server.closing.set()
            await served.wait()
            nursery.cancel_scope.cancel()
        return told


def _settings(folder: Path) -> Settings:
    web, agents = _free_port(PORT), _free_port(PORT + 1)
    return replace(
        Settings(),
        data_dir=str(folder / "data"),
        listen=f"127.0.0.1:{web}",
        agent_listen=f"127.0.0.1:{agents}",
        cookie_secure=False,
        outbound_allow="loopback",
    )


def _free_port(wanted: int) -> int:
    """`wanted` if it is free, else one that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no free port on 127.0.0.1")


def _make_user(settings: Settings) -> str:
    password = secrets.token_urlsafe(12)
    user_id, at = ids.new(), clock.now()
    commit_here(
        settings,
        CreateUser(user_id, USER, Passwords().hash_here(password), "admin", at, _audit("user.create", user_id)),
    )
    return password


def _api_token(settings: Settings, role: Role) -> str:
    token, token_id, at = tokens.make(tokens.API), ids.new(), clock.now()
    prefix = token[: tokens.SHOWN_PREFIX_LENGTH]
    write = CreateApiToken(
        token_id, "demo", role, prefix, tokens.digest(token), at, None, _audit("token.create", token_id)
    )
    commit_here(settings, write)
    return token


async def _make_channel(settings: Settings, port: int) -> None:
    """As an operator would, over the API."""
    token = await trio.to_thread.run_sync(_api_token, settings, "admin")
    body = {"kind": "webhook", "name": "this terminal", "config": {"url": f"http://127.0.0.1:{port}/"}}
    headers = (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))
    target = parse_url(f"{settings.public_url}/api/notifications")
    api = HttpEndpoint(target, OutboundPolicy.parse("loopback"), shared_ssl_context(), clock.now, secrets=(token,))
    made = await api.send(make_request(target, headers, msgspec.json.encode(body)), judge_http)
    await api.aclose()
    if made.verdict != "delivered":
        raise RuntimeError(f"the channel could not be made: {made.error}")


async def _agent(
    settings: Settings, state_dir: Path, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    token, token_id, at = tokens.make(tokens.ENROLLMENT), ids.new(), clock.now()
    audit = _audit("enrollment_token.create", token_id)
    write = CreateEnrollmentToken(token_id, tokens.digest(token), at, at + clock.HOUR, audit)
    await trio.to_thread.run_sync(commit_here, settings, write)
    await enroll(settings.public_agent_url, token, state_dir, name=os.uname().nodename)
    await run_agent(parse(""), state_dir, task_status=task_status)


async def _backups(folder: Path, sink: Sink, stop: trio.Event) -> bool:
    """The three runs; whether both notifications came, in time and before `stop`."""
    if shutil.which("restic") is None:
        click.echo(f"restic is not installed ({GET_RESTIC}); the agent wraps another command instead.\n")
    backups = await trio.to_thread.run_sync(of_this_machine, folder)
    state_dir = folder / "agent"
    told = False
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + PATIENCE_SECONDS
        nursery.start_soon(_cancel_at, stop, nursery.cancel_scope)
        click.echo(f"1. A backup of {PLAN_OK}, which works: nobody is told.")
        await backups.good(state_dir)
        click.echo(f"2. A backup of {PLAN_BAD}, which fails:")
        await backups.bad(state_dir)
        await sink.until("alert.raised")
        click.echo(f"3. The cause is mended, and {PLAN_BAD} is backed up again:")
        await backups.mended(state_dir)
        await sink.until("alert.resolved")
        told = True
        nursery.cancel_scope.cancel()
    if not told and not stop.is_set():
        click.secho(f"the notifications did not arrive within {PATIENCE_SECONDS:g} s", fg="red", err=True)
    return told


async def _cancel_at(stop: trio.Event, scope: trio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


def _introduce(settings: Settings, password: str) -> None:
    click.echo("")
    click.secho(f"  {settings.public_url}", bold=True)
    click.echo(f"  user {USER}, password {password}\n")


def _audit(action: str, target_id: str) -> Audit:
    return Audit(clock.now(), "demo", "system", action, action.partition(".")[0], target_id)
