"""The tree: every task of the server, every mailbox, every restart budget.

    server
    ├─ core                      ended last
    │   ├─ store                 the only writer of the database
    │   ├─ rules                 every raise, touch and resolve
    │   ├─ fleet ─ host:…        one for each enrolled host
    │   ├─ ticker                time, as messages
    │   ├─ pulse                 a commit now and then, so that a full disk is noticed before a report comes
    │   ├─ zones                 sees that time zone data was updated
    │   ├─ janitor               removes what is older than it is kept
    │   ├─ lag                   how late the event loop is, for /metrics
    │   ├─ keepalive             tells the service manager that all is well (where there is one)
    │   └─ watchdog              tells an outside monitor that all is well (where one is set)
    └─ edges                     told to close first, within `CLOSE_SECONDS`
        ├─ gateway               the agents' port
        ├─ web                   pages, API, /healthz
        └─ post ─ delivery:…     one for each enabled channel

Who sends to whom: gateway → host → rules → store; web → rules, store; deliveries → store. Back go answers, which never
wait, and wake-ups from the store, which carry names alone. So nobody waits for somebody who waits for him.
"""

import gc
import logging
import os
import re
import resource
import signal
import sqlite3
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

from rmactors import PRODUCT, __version__
from rmactors.common import clock, logs
from rmactors.common.clock import seconds
from rmactors.server.actors import janitor, watchdog, zone_watch
from rmactors.server.actors.awake import LEAST_GAP, Awake, Moment
from rmactors.server.actors.delivery import actor as delivery
from rmactors.server.actors.delivery import supervisor as post
from rmactors.server.actors.host import actor as host
from rmactors.server.actors.host import supervisor as fleet
from rmactors.server.actors.live import Live
from rmactors.server.actors.rules import actor as rules
from rmactors.server.actors.store import actor as store
from rmactors.server.channels.answers import judge_http
from rmactors.server.channels.base import Channel, ChannelSpec, Preview
from rmactors.server.channels.net.egress import OutboundPolicy, PolicyError
from rmactors.server.channels.net.endpoint import parse_endpoint
from rmactors.server.channels.net.http_client import HttpEndpoint
from rmactors.server.channels.net.tls import TrustError
from rmactors.server.channels.registry import make_channel, preview, shared_ssl_context
from rmactors.server.channels.request import USER_AGENT, HttpRequest
from rmactors.server.config import data_dir
from rmactors.server.config.data_dir import DataDirTaken
from rmactors.server.config.secrets import SecretBox, SecretError
from rmactors.server.config.settings import Settings, SettingsError
from rmactors.server.edges import gateway, http
from rmactors.server.edges.addresses import parse_networks
from rmactors.server.edges.listener import Port
from rmactors.server.health import Health
from rmactors.server.health import health as health_of
from rmactors.server.messages.notices import Attempt, Notice
from rmactors.server.messages.requests import Request, Tick
from rmactors.server.messages.writes import Answer, Commit, Pulse, Reply, no_reply
from rmactors.server.runtime.mailbox import Mailbox, Outlet, ask
from rmactors.server.runtime.supervision import Budget, OverBudgetError, Standing, supervise
from rmactors.server.store.memory import ChannelFacts
from rmactors.server.store.migrations import MigrationError
from rmactors.server.store.offline import prepare
from rmactors.server.store.reader import Reader
from rmactors.server.store.secret_rows import open_box
from rmactors.server.store.transaction import Wakeups
from rmactors.server.store.writer import Writer, connect
from rmactors.server.web.app import create_app
from rmactors.server.web.auth.setup import make_setup_token, token_file
from rmactors.server.web.known import Known
from rmactors.server.web.metrics import Meters, Sources
from rmactors.server.web.security import Perimeter
from rmactors.server.web.services import Services
from rmactors.systemd.notify import Notifier, keep_alive

_log = logging.getLogger(__name__)

STORE_MAILBOX = 1024
"""Four batches: more only adds latency, and whoever waits holds up its own reports, not others'."""
RULES_MAILBOX = 1024
"""As many as the store can take over at once. Full, host actors wait, then TCP does."""

STORE_BUDGET = Budget(restarts=5, seconds=60)
RULES_BUDGET = Budget(restarts=5, seconds=60)
FLEET_BUDGET = Budget(restarts=3, seconds=60)
EDGE_BUDGET = Budget(restarts=5, seconds=60)
CLOCK_BUDGET = Budget(restarts=3, seconds=60)

FILES_KEPT = 256
"""Open files that are never for agents' connections; where few are allowed, half of them."""

CLOSE_SECONDS = 3.0
FLUSH_SECONDS = 5.0
PULSE_SECONDS = 10.0
PULSE_AGAIN_SECONDS = 1.0


class StartError(Exception):
    """The server cannot start. The message says why and what to do. Nothing was changed but the schema."""


@dataclass(slots=True)
class Server:
    """What a caller may know of a running server."""

    settings: Settings
    setup_token: str | None = None
    ready: trio.Event = field(default_factory=trio.Event)
    closing: trio.Event = field(default_factory=trio.Event)
    box: SecretBox | None = None
    notifier: Notifier = field(default_factory=Notifier)


async def serve(server: Server) -> None:
    """Run until `server.closing` is set. Raises StartError; in a group, OverBudgetError: an actor kept crashing."""
    settings = server.settings
    with _alone(settings):
        box = server.box = _open(settings)
        server.setup_token = make_setup_token(settings)
        _tune()
        await _tree(server, box)


async def _tree(server: Server, box: SecretBox) -> None:
    settings = server.settings
    policy = _policy(settings)
    outbound_tls = _outbound_tls()
    inbound_tls = _inbound_tls(settings)
    proxies = parse_networks(settings.trusted_proxies)
    agent_port, web_port = Port(settings.agent_listen, 4096), Port(settings.listen, 1024)
    await _open_ports(agent_port, web_port)
    reader = Reader(settings.database)
    started_at, started = clock.now(), trio.current_time()
    patience = min(settings.offline_alert_seconds, settings.stale_grace_seconds)
    awake = Awake(settings.restart_grace_seconds, patience, _moment())

    def not_before() -> float:
        return awake.not_before(_moment())

    # ---- mailboxes, and what actors leave for each other
    to_store: Mailbox[Commit] = Mailbox("store", STORE_MAILBOX)
    to_rules: Mailbox[Request | rules.Answered] = Mailbox("rules", RULES_MAILBOX)
    directory, signs, counter, live = fleet.Directory(), fleet.Signs(), post.Counter(), Live()
    standing = Standing()
    meters = Meters()
    # Health counts from the start: nothing is overdue that has only just begun.
    store_state = store.StoreState(committed_at=started, observe=meters.commit_took)
    rules_state, gateway_state = rules.RulesState(ticked_at=started), gateway.GatewayState()

    def wake(wakeups: Wakeups) -> None:
        """After a commit: who has something to look at."""
        directory.wake(wakeups.hosts)
        gateway_state.wake(wakeups.hosts)
        counter.wake(wakeups.channels, wakeups.channel_list)
        live.publish(wakeups.topics)
        meters.count(wakeups.counts)
        logs.tell(_log, wakeups.told)

    # ---- what the routes may use
    async def ask_store(*writes: object) -> Answer:
        return await ask(to_store.send, lambda reply: Commit(writes, reply))

    async def ask_rules(request: Callable[[Reply], Request]) -> Answer:
        return await ask(to_rules.send, request)

    def channel_of(spec: ChannelSpec) -> Channel:
        return make_channel(spec, policy, outbound_tls, settings.public_url)

    async def try_channel(spec: ChannelSpec, notice: Notice) -> Attempt:
        channel = channel_of(spec)
        try:
            return await channel.send(notice)
        finally:
            with trio.move_on_after(1, shield=True):
                await channel.aclose()

    def stored_channel(facts: ChannelFacts) -> Channel:
        return channel_of(_spec(facts, box))

    def health() -> Health:
        now = trio.current_time()
        return health_of(
            store_state.failing, now - store_state.committed_at, now - rules_state.ticked_at, settings.tick_seconds,
            standing.down,
        )  # fmt: skip

    sources = Sources(
        reader, {"store": to_store, "rules": to_rules}, lambda: list(directory.mailboxes.values()),
        lambda: gateway_state.agents, lambda: len(live), lambda: standing.restarts, lambda: rules_state.reloads,
        lambda: health().checks,
    )  # fmt: skip

    async def metrics() -> bytes:
        return await meters.render(sources)

    services = Services(
        settings, clock.now, reader, ask_store, ask_rules, box, try_channel, partial(_preview, settings),
        live.subscribe, health, live.progress_of,
    )  # fmt: skip

    # ---- actors
    host_settings = host.HostSettings(
        settings.heartbeat_seconds, settings.offline_alert_seconds, settings.stale_grace_seconds
    )  # fmt: skip
    host_ports = host.HostPorts(
        to_rules, to_store, reader, live.progress, signs.note, signs.note_clock, not_before, meters.count
    )
    timing = rules.Timing(started_at, seconds(settings.restart_grace_seconds), settings.stale_grace_seconds)
    delivery_ports = delivery.DeliveryPorts(to_store, reader, seconds(settings.retry_max_seconds), settings.public_url)
    flush = min(FLUSH_SECONDS, settings.offline_after_seconds / 4)
    closing = server.closing
    listening = _AllListening(server.ready, 2)

    core_children: list[tuple[str, Budget, Callable[[], Awaitable[None]]]] = [
        (
            "store",
            STORE_BUDGET,
            lambda: store.run(to_store, lambda: Writer(connect(settings.database)), wake, store_state),
        ),
        (
            "rules",
            RULES_BUDGET,
            lambda: rules.run(to_rules, to_store, reader, timing, rules_state, settings.max_open_alerts_per_host),
        ),
        ("fleet", FLEET_BUDGET, lambda: fleet.run(directory, signs, host_ports, host_settings, flush, standing)),
        ("ticker", CLOCK_BUDGET, lambda: _tick(to_rules, settings.tick_seconds, not_before)),
        ("awake", CLOCK_BUDGET, lambda: _stay_awake(not_before)),
        ("pulse", CLOCK_BUDGET, lambda: _pulse(to_store, store_state)),
        ("zones", CLOCK_BUDGET, lambda: zone_watch.run(to_rules)),
        ("lag", CLOCK_BUDGET, meters.measure_lag),
        ("janitor", CLOCK_BUDGET, lambda: janitor.run(to_store, reader, _periods(settings))),
    ]
    edge_children: list[tuple[str, Budget, Callable[[], Awaitable[None]]]] = [
        ("gateway", EDGE_BUDGET, lambda: gateway.run(
            gateway.GatewaySettings(
                agent_port, inbound_tls, settings.offline_after_seconds, proxies, _files_for_agents(),
            ),
            gateway.GatewayPorts(directory.mailbox_of, to_store, reader, not_before), gateway_state, closing,
            listening.one,
        )),
        ("web", EDGE_BUDGET, lambda: http.run(
            http.WebSettings(
                web_port, inbound_tls, Perimeter(settings).headers, Known(services), proxies, _files_for_agents(),
            ),
            create_app(services, metrics=metrics), closing, live.close, listening.one,
        )),
        ("post", EDGE_BUDGET, lambda: post.run(counter, stored_channel, delivery_ports, standing, closing)),
    ]  # fmt: skip

    if settings.watchdog_url:
        fetch = _watchdog_fetch(settings, policy, outbound_tls)
        core_children.append(("watchdog", CLOCK_BUDGET, lambda: watchdog.run(fetch, lambda: health().ok, reader)))

    if server.notifier.address is not None:
        core_children.append(("keepalive", CLOCK_BUDGET, lambda: keep_alive(
            server.notifier, lambda: health().checks, outside=lambda: store_state.failing is not None,
        )))  # fmt: skip

    async with trio.open_nursery() as core:
        for name, budget, run in core_children:
            core.start_soon(supervise, name, run, budget, standing)
        async with trio.open_nursery() as edges:
            for name, budget, run in edge_children:
                edges.start_soon(supervise, name, run, budget, standing)
            await closing.wait()
            edges.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
        core.cancel_scope.cancel()
    reader.close()


async def _tick(to_rules: Outlet[Tick], every: float, not_before: Callable[[], float]) -> None:
    """A tick is dropped where the last one still waits: the next says the same."""
    while True:
        await trio.sleep(every)
        to_rules.put_once(Tick(clock.now(), judges=trio.current_time() >= not_before()))


def _moment() -> Moment:
    return Moment(trio.current_time(), time.time(), time.process_time())


async def _stay_awake(not_before: Callable[[], float]) -> None:
    """Notices that this process was stopped, or its machine suspended."""
    while True:
        await trio.sleep(LEAST_GAP / 2)
        not_before()


async def _pulse(to_store: Outlet[Commit], state: store.StoreState) -> None:
    while True:
        await to_store.send(Commit((Pulse(clock.now()),), no_reply))
        await trio.sleep(PULSE_AGAIN_SECONDS if state.failing else PULSE_SECONDS)


@dataclass(slots=True)
class _AllListening:
    """Sets `ready` when as many listeners as there are have opened."""

    ready: trio.Event
    missing: int

    def one(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self.ready.set()


# ---- before the tree


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the data dir's lock. A second server on the same data dir is refused."""
    with ExitStack() as stack:
        try:
            stack.enter_context(data_dir.locked(Path(settings.data_dir)))
        except DataDirTaken as taken:
            raise StartError(f"{taken}; stop it, or give this one its own RM_DATA_DIR") from None
        except OSError as error:
            raise StartError(f"the data dir {settings.data_dir} cannot be used: {error}") from None
        yield


def _open(settings: Settings) -> SecretBox:
    """The database at this version's schema, and the key that opens its secrets. Raises StartError."""
    try:
        database = prepare(settings)
        connection = connect(database)
        try:
            box = open_box(connection, settings.key_file)
        finally:
            connection.close()
    except (MigrationError, SecretError) as error:
        raise StartError(str(error)) from None
    except sqlite3.Error as error:
        raise StartError(f"the database {settings.database} cannot be used: {error}") from None
    except OSError as error:
        raise StartError(f"the data dir {settings.data_dir} cannot be used: {error}") from None
    return box


async def _open_ports(*ports: Port) -> None:
    """Raises StartError, with the address, where one is taken or is not of this machine."""
    for port in ports:
        try:
            await port.open()
        except OSError as error:
            raise StartError(f"cannot listen on {port.address}: {error.strerror or error}") from None


def _policy(settings: Settings) -> OutboundPolicy:
    try:
        return OutboundPolicy.parse(settings.outbound_allow)
    except PolicyError as error:
        raise StartError(str(error)) from None


def _outbound_tls() -> ssl.SSLContext:
    try:
        return shared_ssl_context()
    except TrustError as error:
        raise StartError(str(error)) from None


def _inbound_tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"RM_TLS_CERT_FILE and RM_TLS_KEY_FILE cannot be used: {error}") from None
    return context


def _take_all_files() -> None:
    """As many open files as the system allows: each agent is one, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _files_for_agents() -> int:
    """How many connections the agents' port may have: the other files are for pages, notifications, the database."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(files // 2, files - FILES_KEPT) if files != resource.RLIM_INFINITY else 1 << 30


def _tune() -> None:
    """What was imported lives for ever: not looking at it again saves a third of the CPU that a message costs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


# ---- small pieces of the tree


def _spec(facts: ChannelFacts, box: SecretBox) -> ChannelSpec:
    config = msgspec.json.decode(
        box.open(facts.config, associated=f"notification-channel:{facts.id}"), type=dict[str, Any]
    )
    return ChannelSpec(facts.id, facts.kind, facts.name, config, facts.default_priority)


def _periods(settings: Settings) -> janitor.Periods:
    return janitor.Periods(
        settings.retain_job_logs_days, settings.retain_jobs_days, settings.retain_alerts_days,
        settings.retain_notification_log_days, settings.retain_audit_days,
    )  # fmt: skip


def _watchdog_fetch(
    settings: Settings, policy: OutboundPolicy, context: ssl.SSLContext
) -> Callable[[], Awaitable[Attempt]]:
    """One GET of `RM_WATCHDOG_URL`, under the same rules as notifications. Raises StartError."""
    try:
        target = parse_endpoint(settings.watchdog_url)
    except ValueError as error:
        raise StartError(f"RM_WATCHDOG_URL: {error}") from None
    # A server that answers "no such page" repeats the path, and the secret is a part of that.
    parts = (part for part in re.split(r"[/?&=]", target.target) if len(part) >= 8)
    secrets = (settings.watchdog_url, target.url, target.target, *parts)
    endpoint = HttpEndpoint(target, policy, context, clock.now, secrets)
    request = HttpRequest(target.url, (("User-Agent", USER_AGENT),), b"", "GET")
    return lambda: endpoint.send(request, judge_http)


def _preview(settings: Settings, spec: ChannelSpec, notice: Notice) -> Preview:
    return preview(spec, notice, settings.public_url)


# ---- the process


def run(settings: Settings) -> int:
    """The server as a process, until SIGTERM or SIGINT. Returns its exit code."""
    _take_all_files()
    try:
        trio.run(_until_signal, Server(settings, notifier=Notifier.of(os.environ)))
    except (StartError, SettingsError) as error:
        _say(settings, "server.failed", f"rmactors server: {error}", logging.ERROR)
        return 1
    except BaseExceptionGroup as group:
        return _died(settings, group)
    _log.info("stopped", extra=logs.fields("server.stopped"))
    return 0


def _say(settings: Settings, event: str, text: str, level: int = logging.INFO, **values: object) -> None:
    """For whoever started it: always said, and plainly, where no program reads the log."""
    if settings.log_format == "text":
        print(text, file=sys.stderr, flush=True)
    else:
        _log.log(level, text, extra=logs.fields(event, **values))


def _died(settings: Settings, group: BaseExceptionGroup[BaseException]) -> int:
    """Say why the process ends, in one line where it is known."""
    known, others = group.split((OverBudgetError, OSError, StartError))
    if known is None or others is not None:
        raise group
    error: BaseException = known
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    _say(settings, "server.failed", f"rmactors server: {error}", logging.ERROR)
    return 1


async def _until_signal(server: Server) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_say_ready, server)
        nursery.start_soon(_close_on_signal, server)
        await serve(server)
        nursery.cancel_scope.cancel()


async def _close_on_signal(server: Server) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            name = signal.Signals(number).name
            _log.info("%s: stopping", name, extra=logs.fields("server.stopping", signal=name))
            server.notifier.tell("STOPPING=1")
            server.closing.set()


async def _say_ready(server: Server) -> None:
    await server.ready.wait()
    server.notifier.tell("READY=1")
    settings = server.settings
    _say(
        settings, "server.started",
        f"{PRODUCT} {__version__}: pages on {settings.public_url}, agents on {settings.public_agent_url}",
        version=__version__, url=settings.public_url, agent_url=settings.public_agent_url, data_dir=settings.data_dir,
    )  # fmt: skip
    for text in settings.warnings:
        _say(settings, "server.insecure" if "COOKIE" in text else "server.settings", text, logging.WARNING)
    if server.setup_token is None:
        return
    if settings.log_format == "json":  # programs collect and keep what they read: no token there
        text = f"no user exists yet: open {settings.public_url}/setup and enter the token in {token_file(settings)}"
        _say(settings, "server.setup", text, logging.WARNING)
        return
    print(
        f"No user exists yet. Open {settings.public_url}/setup within 24 hours and enter this token:\n"
        f"{server.setup_token}",
        file=sys.stderr, flush=True,
    )  # fmt: skip
