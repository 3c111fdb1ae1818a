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
wait, and wake-ups from the store, which carry names alone. The graph of blocking sends has no cycle, so there is no
deadlock.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from rmactors.common import clock, logs
from rmactors.common.clock import seconds
from rmactors.server.actors import janitor, watchdog, zone_watch
from rmactors.server.actors.awake import Awake
from rmactors.server.actors.delivery import actor as delivery
from rmactors.server.actors.delivery import supervisor as post
from rmactors.server.actors.host import actor as host
from rmactors.server.actors.host import supervisor as fleet
from rmactors.server.actors.host.core import HostSettings
from rmactors.server.actors.live import Live
from rmactors.server.actors.rules import actor as rules
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.actors.store import actor as store
from rmactors.server.bootstrap import (
    alone,
    channel_spec,
    files_for_agents,
    load_inbound_tls,
    load_outbound_tls,
    open_data_dir,
    open_ports,
    outbound_policy,
    periods,
    preview_for,
    tune,
    watchdog_fetch,
)
from rmactors.server.channels.base import Channel, ChannelSpec
from rmactors.server.channels.registry import make_channel
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.edges import gateway, http
from rmactors.server.edges.addresses import parse_networks
from rmactors.server.edges.listener import Port
from rmactors.server.health import Health
from rmactors.server.health import health as health_of
from rmactors.server.messages.answers import Answer, Reply
from rmactors.server.messages.notifications import Attempt, Notification
from rmactors.server.messages.requests import Request
from rmactors.server.messages.writes import Commit, Write
from rmactors.server.periodic import moment, pulse, stay_awake, tick
from rmactors.server.runtime.mailbox import Mailbox, ask
from rmactors.server.runtime.supervision import ActorStatus, Budget, supervise
from rmactors.server.state.delivery import ChannelFacts
from rmactors.server.store.reader import Reader
from rmactors.server.store.transaction import Wakeups
from rmactors.server.store.writer import Writer, connect
from rmactors.server.web.app import create_app
from rmactors.server.web.auth.setup import make_setup_token
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

CLOSE_SECONDS = 3.0

FLUSH_SECONDS = 5.0


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
    with alone(settings):
        box = server.box = open_data_dir(settings)
        server.setup_token = make_setup_token(settings)
        tune()
        await _run(server, box)


async def _run(server: Server, box: SecretBox) -> None:
    settings = server.settings
    policy = outbound_policy(settings)
    outbound_tls = load_outbound_tls()
    inbound_tls = load_inbound_tls(settings)
    proxies = parse_networks(settings.trusted_proxies)
    agent_port, web_port = Port(settings.agent_listen, 4096), Port(settings.listen, 1024)
    await open_ports(agent_port, web_port)
    reader = Reader(settings.database)
    started_at, started = clock.now(), trio.current_time()
    patience = min(settings.offline_alert_seconds, settings.stale_grace_seconds)
    awake = Awake(settings.restart_grace_seconds, patience, moment())

    def not_before() -> float:
        return awake.not_before(moment())

    # ---- mailboxes, and what actors leave for each other
    to_store: Mailbox[Commit] = Mailbox("store", STORE_MAILBOX)
    to_rules: Mailbox[Request | rules.Answered] = Mailbox("rules", RULES_MAILBOX)
    directory, heartbeats, channel_wakeups, live = fleet.Directory(), fleet.Heartbeats(), post.ChannelWakeups(), Live()
    status = ActorStatus()
    meters = Meters()
    # Health counts from the start: nothing is overdue that has only just begun.
    store_state = store.StoreState(committed_at=started, observe=meters.commit_took)
    rules_state, gateway_state = rules.RulesState(ticked_at=started), gateway.GatewayState()

    def wake(wakeups: Wakeups) -> None:
        """After a commit: who has something to look at."""
        directory.wake(wakeups.hosts)
        gateway_state.wake(wakeups.hosts)
        channel_wakeups.wake(wakeups.channels, wakeups.channel_list)
        live.publish(wakeups.topics)
        meters.count(wakeups.counts)
        logs.tell(_log, wakeups.told)

    # ---- what the routes may use
    async def ask_store(*writes: Write) -> Answer:
        return await ask(to_store.send, lambda reply: Commit(writes, reply))

    async def ask_rules(request: Callable[[Reply], Request]) -> Answer:
        return await ask(to_rules.send, request)

    def channel_of(spec: ChannelSpec) -> Channel:
        return make_channel(spec, policy, outbound_tls, settings.public_url)

    async def try_channel(spec: ChannelSpec, notification: Notification) -> Attempt:
        channel = channel_of(spec)
        try:
            return await channel.send(notification)
        finally:
            with trio.move_on_after(1, shield=True):
                await channel.aclose()

    def stored_channel(facts: ChannelFacts) -> Channel:
        return channel_of(channel_spec(facts, box))

    def health() -> Health:
        now = trio.current_time()
        return health_of(
            store_state.failing, now - store_state.committed_at, now - rules_state.ticked_at, settings.tick_seconds,
            status.down,
        )  # fmt: skip

    sources = Sources(
        reader, {"store": to_store, "rules": to_rules}, lambda: list(directory.mailboxes.values()),
        lambda: gateway_state.agents, lambda: len(live), lambda: status.restarts, lambda: rules_state.reloads,
        lambda: health().checks,
    )  # fmt: skip

    async def metrics() -> bytes:
        return await meters.render(sources)

    services = Services(
        settings, clock.now, reader, ask_store, ask_rules, box, try_channel, partial(preview_for, settings),
        live.subscribe, health, live.progress_of,
    )  # fmt: skip

    # ---- actors
    host_settings = HostSettings(
        settings.heartbeat_seconds, settings.offline_alert_seconds, settings.stale_grace_seconds
    )  # fmt: skip
    host_ports = host.HostPorts(
        to_rules, to_store, reader, live.progress, heartbeats.note, heartbeats.note_clock, not_before, meters.count
    )
    timing = Timing(started_at, seconds(settings.restart_grace_seconds), settings.stale_grace_seconds)
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
        ("fleet", FLEET_BUDGET, lambda: fleet.run(directory, heartbeats, host_ports, host_settings, flush, status)),
        ("ticker", CLOCK_BUDGET, lambda: tick(to_rules, settings.tick_seconds, not_before)),
        ("awake", CLOCK_BUDGET, lambda: stay_awake(not_before)),
        ("pulse", CLOCK_BUDGET, lambda: pulse(to_store, store_state)),
        ("zones", CLOCK_BUDGET, lambda: zone_watch.run(to_rules)),
        ("lag", CLOCK_BUDGET, meters.measure_lag),
        ("janitor", CLOCK_BUDGET, lambda: janitor.run(to_store, reader, periods(settings))),
    ]
    edge_children: list[tuple[str, Budget, Callable[[], Awaitable[None]]]] = [
        ("gateway", EDGE_BUDGET, lambda: gateway.run(
            gateway.GatewaySettings(
                agent_port, inbound_tls, settings.offline_after_seconds, proxies, files_for_agents(),
            ),
            gateway.GatewayPorts(directory.mailbox_of, to_store, reader, not_before), gateway_state, closing,
            listening.one,
        )),
        ("web", EDGE_BUDGET, lambda: http.run(
            http.WebSettings(
                web_port, inbound_tls, Perimeter(settings).headers, Known(services), proxies, files_for_agents(),
            ),
            create_app(services, metrics=metrics), closing, live.close, listening.one,
        )),
        ("post", EDGE_BUDGET, lambda: post.run(channel_wakeups, stored_channel, delivery_ports, status, closing)),
    ]  # fmt: skip

    if settings.watchdog_url:
        fetch = watchdog_fetch(settings, policy, outbound_tls)
        core_children.append(("watchdog", CLOCK_BUDGET, lambda: watchdog.run(fetch, lambda: health().ok, reader)))

    if server.notifier.address is not None:
        core_children.append(("keepalive", CLOCK_BUDGET, lambda: keep_alive(
            server.notifier, lambda: health().checks, outside=lambda: store_state.failing is not None,
        )))  # fmt: skip

    async with trio.open_nursery() as core:
        for name, budget, run in core_children:
            core.start_soon(supervise, name, run, budget, status)
        async with trio.open_nursery() as edges:
            for name, budget, run in edge_children:
                edges.start_soon(supervise, name, run, budget, status)
            await closing.wait()
            edges.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
        core.cancel_scope.cancel()
    reader.close()


@dataclass(slots=True)
class _AllListening:
    """Sets `ready` when as many listeners as there are have opened."""

    ready: trio.Event
    missing: int

    def one(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self.ready.set()
