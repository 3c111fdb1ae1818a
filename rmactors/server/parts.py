"""What the children of the tree share, and how each is started with it: mailboxes, states, ports, services."""

import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

import trio

from rmactors.common import clock, logs
from rmactors.common.clock import seconds
from rmactors.server.actors import janitor, watchdog, zone_watch
from rmactors.server.actors.awake import Awake
from rmactors.server.actors.delivery import actor as delivery
from rmactors.server.actors.delivery import supervisor as post
from rmactors.server.actors.digests import actor as digests
from rmactors.server.actors.host import actor as host
from rmactors.server.actors.host import supervisor as fleet
from rmactors.server.actors.host.core import HostSettings
from rmactors.server.actors.live import Live
from rmactors.server.actors.policies import actor as policies
from rmactors.server.actors.repositories import actor as repositories
from rmactors.server.actors.rules import actor as rules
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.actors.store import actor as store
from rmactors.server.bootstrap import act_link, channel_spec, files_for_agents, periods, preview_for
from rmactors.server.channels.base import Channel, ChannelSpec
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.edges import gateway, http
from rmactors.server.edges.addresses import parse_networks
from rmactors.server.edges.listener import Port
from rmactors.server.health import Health
from rmactors.server.health import health as health_of
from rmactors.server.messages.notifications import Attempt, Notification
from rmactors.server.messages.requests import Request
from rmactors.server.messages.writes import Commit
from rmactors.server.nodes.tenure import Tenure
from rmactors.server.openid.provider import provider_of
from rmactors.server.periodic import moment, pulse, stay_awake, tick
from rmactors.server.runtime import garbage
from rmactors.server.runtime.mailbox import Mailbox, Signal, ask, ask_store
from rmactors.server.runtime.supervision import ActorStatus, Budget
from rmactors.server.state.delivery import ChannelFacts
from rmactors.server.store.engines.opening import open_writer
from rmactors.server.store.load_hosts import load_pending_work
from rmactors.server.store.read_together import ReadTogether
from rmactors.server.store.reader import Reader
from rmactors.server.store.transaction import Wakeups
from rmactors.server.web.app import create_app
from rmactors.server.web.html import compile_first_page
from rmactors.server.web.known import Known
from rmactors.server.web.metrics import Meters, Sources
from rmactors.server.web.security import Perimeter
from rmactors.server.web.services import Services
from rmactors.systemd.notify import Notifier, keep_alive

_log = logging.getLogger(__name__)

RECONNECT_SECONDS = 15.0
"""After a start, most agents have come back by then: who is asked sooner would be taken for away."""
FLUSH_SECONDS = 5.0
"""Between two flushes of heartbeats, at most."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was opened or read before the tree starts, and may have failed."""

    settings: Settings
    box: SecretBox
    policy: OutboundPolicy
    outbound_tls: ssl.SSLContext
    inbound_tls: ssl.SSLContext | None
    agent_port: Port
    web_port: Port
    notifier: Notifier
    fetch_watchdog_url: Callable[[], Awaitable[Attempt]] | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much waits in each queue, at most: messages and frames."""

    store: int
    log_lines: int
    rules: int
    host: int
    outbox: int


@dataclass(slots=True)
class AllListening:
    """Sets `ready` when as many listeners as there are have opened."""

    ready: trio.Event
    missing: int = 2

    def one(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self.ready.set()


class Parts:
    """All that the children of one server have in common. Each `run_…` is one child, from its start to a crash."""

    def __init__(
        self, opened: Opened, sizes: Sizes, check_of: Mapping[str, str], ready: trio.Event, closing: trio.Event,
        tenure: Tenure,
    ) -> None:  # fmt: skip
        settings = opened.settings
        self.opened, self.settings, self.sizes, self.closing = opened, settings, sizes, closing
        self.tenure = tenure
        self.listening = AllListening(ready)
        self.reader = Reader(settings.place)
        self.started_at = clock.now()
        patience = min(settings.offline_alert_seconds, settings.stale_grace_seconds)
        self._awake = Awake(settings.restart_grace_seconds, patience, moment())
        # ---- mailboxes, and what actors leave for each other
        self.to_store: Mailbox[Commit] = Mailbox("store", sizes.store, aside=sizes.log_lines)
        self.to_rules: Mailbox[Request | rules.Answered] = Mailbox("rules", sizes.rules)
        self.directory, self.heartbeats = fleet.Directory(sizes.host), fleet.Heartbeats()
        self.questions = fleet.LiveQuestions(self.directory)
        self.channel_wakeups, self.live = post.ChannelWakeups(), Live()
        self.repository_wanted, self.policy_sweeps = Signal(), policies.PolicySweeps()
        # ---- what is said of them
        self.status, self.meters, self._check_of = ActorStatus(), Meters(), check_of
        # Health counts from the start: nothing is overdue that has only just begun.
        started = trio.current_time()
        self.store_state = store.StoreState(committed_at=started, observe=self.meters.commit_took)
        self.rules_state, self.gateway_state = rules.RulesState(ticked_at=started), gateway.GatewayState()
        self.services = Services(
            settings, clock.now, self.reader, partial(ask_store, self.to_store), partial(ask, self.to_rules.send),
            opened.box, self.try_channel, partial(preview_for, settings), self.live.subscribe, self.health,
            self.live.progress_of, self.questions.ask, self.policy_sweeps.settled,
            provider_of(settings, opened.outbound_tls),
        )  # fmt: skip

    def grace_until(self) -> float:
        """On trio's clock: nobody is judged before this."""
        return self._awake.grace_until(moment())

    def wake(self, wakeups: Wakeups) -> None:
        """After a commit: who has something to look at."""
        self.directory.changed.add(wakeups.hosts)
        self.gateway_state.changed.add(wakeups.hosts)
        self.channel_wakeups.wake(wakeups.channels, wakeups.channel_list, wakeups.deliveries)
        self.policy_sweeps.wake(wakeups.tagged, wakeups.policies)
        if wakeups.repositories:
            self.repository_wanted.set()
        self.live.publish(wakeups.topics)
        self.meters.count(wakeups.counts)
        logs.tell(_log, wakeups.told)

    def health(self) -> Health:
        now = trio.current_time()
        return health_of(
            self.store_state.failing, now - self.store_state.committed_at, now - self.rules_state.ticked_at,
            self.settings.tick_seconds, self.status.down, self._check_of,
        )  # fmt: skip

    # ---- what the routes may use

    async def try_channel(self, spec: ChannelSpec, notification: Notification) -> Attempt:
        channel = self._channel(spec)
        try:
            return await channel.send(notification)
        finally:
            with trio.move_on_after(1, shield=True):
                await channel.aclose()

    def _channel(self, spec: ChannelSpec) -> Channel:
        return make_channel(spec, self.opened.policy, self.opened.outbound_tls, self.settings.public_url)

    def _stored_channel(self, facts: ChannelFacts) -> Channel:
        return self._channel(channel_spec(facts, self.opened.box))

    async def metrics(self) -> bytes:
        return await self.meters.render(
            Sources(
                self.reader, {"store": self.to_store, "rules": self.to_rules},
                lambda: list(self.directory.mailboxes.values()), lambda: self.gateway_state.agents(),
                lambda: len(self.live), lambda: self.status.restarts, lambda: self.rules_state.reloads,
                lambda: self.rules_state.decisions, lambda: self.health().checks,
            )
        )  # fmt: skip

    # ---- the children

    async def run_store(self) -> None:
        settings = self.settings
        writer = partial(open_writer, settings.place, turn=self.tenure.turn, require_sync=settings.require_sync)
        await store.run(self.to_store, writer, self.wake, self.store_state)

    async def run_rules(self) -> None:
        settings = self.settings
        timing = Timing(
            self.started_at, seconds(settings.restart_grace_seconds), settings.stale_grace_seconds,
            seconds(settings.channel_failing_seconds),
        )  # fmt: skip
        await rules.run(
            self.to_rules, self.to_store, self.reader, timing, self.rules_state, settings.max_open_alerts_per_host
        )

    async def run_fleet(self, of_each_host: Budget) -> None:
        settings = self.settings
        ports = host.HostPorts(
            self.to_rules, self.to_store, self.reader, ReadTogether(self.reader, load_pending_work),
            self.live.progress, self.heartbeats.note, self.heartbeats.note_clock, self.grace_until,
            self.questions.answer, self.meters.count,
        )  # fmt: skip
        host_settings = HostSettings(
            settings.heartbeat_seconds, settings.offline_alert_seconds, settings.stale_grace_seconds
        )
        flush = min(FLUSH_SECONDS, settings.offline_after_seconds / 4)
        await fleet.run(
            self.directory, self.questions, self.heartbeats, ports, host_settings, flush, of_each_host, self.status
        )  # fmt: skip

    async def run_ticker(self) -> None:
        await tick(self.to_rules, self.settings.tick_seconds, self.grace_until)

    async def run_awake(self) -> None:
        await stay_awake(self.grace_until)

    async def run_pulse(self) -> None:
        await pulse(self.to_store, self.store_state)

    async def run_zones(self) -> None:
        await zone_watch.run(self.to_rules)

    async def run_lag(self) -> None:
        await self.meters.measure_lag()

    async def run_garbage(self) -> None:
        await garbage.keep(lambda: self.gateway_state.agents())

    async def run_janitor(self) -> None:
        await janitor.run(self.to_store, self.reader, periods(self.settings))

    async def run_digests(self) -> None:
        await digests.run(self.to_store, self.reader, first=self.settings.restart_grace_seconds)

    async def run_repositories(self) -> None:
        settings = self.settings
        await repositories.run(
            self.to_store, self.reader, self.questions.ask, self.repository_wanted, settings.offline_after_seconds,
            first=min(RECONNECT_SECONDS, settings.restart_grace_seconds),
        )  # fmt: skip

    async def run_policies(self) -> None:
        await policies.run(self.to_rules, self.reader, self.policy_sweeps)

    async def run_watchdog(self) -> None:
        if (fetch := self.opened.fetch_watchdog_url) is not None:
            await watchdog.run(fetch, lambda: self.health().ok, self.reader)

    async def run_keepalive(self) -> None:
        if (notifier := self.opened.notifier).address is not None:
            await keep_alive(notifier, lambda: self.health().checks, outside=self._store_fails)

    def _store_fails(self) -> bool:
        """A full disk say: no restart mends that."""
        return self.store_state.failing is not None

    async def run_gateway(self) -> None:
        opened, settings = self.opened, self.settings
        gateway_settings = gateway.GatewaySettings(
            opened.agent_port, opened.inbound_tls, settings.offline_after_seconds,
            self.sizes.outbox, parse_networks(settings.trusted_proxies), files_for_agents(),
        )  # fmt: skip
        ports = gateway.GatewayPorts(self.directory.mailbox_of, self.to_store, self.reader, self.grace_until)
        await gateway.run(gateway_settings, ports, self.gateway_state, self.closing, self.listening.one)

    async def run_web(self) -> None:
        opened, settings = self.opened, self.settings
        web_settings = http.WebSettings(
            opened.web_port, opened.inbound_tls, Perimeter(settings).headers, Known(self.services),
            parse_networks(settings.trusted_proxies), files_for_agents(),
        )  # fmt: skip
        app = create_app(self.services, metrics=self.metrics)
        await compile_first_page()
        await http.run(web_settings, app, self.closing, self.live.close, self.listening.one)

    async def run_post(self, of_each_channel: Budget) -> None:
        retry_max = seconds(self.settings.retry_max_seconds)
        ports = delivery.DeliveryPorts(
            self.to_store, self.reader, retry_max, self.settings.public_url,
            partial(act_link, self.settings, self.opened.box), self.tenure.outlasts,
        )  # fmt: skip
        await post.run(self.channel_wakeups, self._stored_channel, ports, of_each_channel, self.status, self.closing)
