"""The tree: every task of the server, every mailbox, every restart budget, and the check of /healthz that names it.

Who sends to whom: gateway → host → rules → store; web → host, rules, store; policies → rules; repositories → host,
store; deliveries → store. Back go answers, which never wait, and wake-ups from the store, which carry names alone. The
graph of blocking sends has no cycle, so there is no deadlock.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import trio

from rmactors.common.race import race
from rmactors.server import bootstrap
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.edges import http
from rmactors.server.edges.addresses import parse_networks
from rmactors.server.edges.listener import Port
from rmactors.server.nodes.membership import Membership
from rmactors.server.nodes.standby import Waiting, lead
from rmactors.server.nodes.tenure import Tenure
from rmactors.server.parts import Opened, Parts, Sizes
from rmactors.server.runtime import garbage
from rmactors.server.runtime.supervision import Budget, supervise
from rmactors.server.web.auth.setup import make_setup_token
from rmactors.server.web.porch import create_porch
from rmactors.server.web.security import Perimeter
from rmactors.systemd.notify import Notifier, keep_alive

CLOSE_SECONDS = 3.0
"""As long as the edges have to end what they do."""


@dataclass(frozen=True, slots=True)
class Child:
    """A task, or one task for each host or channel (`…` in its name, and its supervisor runs it).

    run        starts it; a child that has nothing to do as this server is set up returns at once
    budget     over it, the process ends and the service manager starts it again
    health     the check of /healthz that is not `ok` while it is down
    mailbox    how much waits for it at most; 0: it has no mailbox, or wake-ups alone, which coalesce
    second     the same of another queue of it: log lines aside
    when_full  what happens then
    each       the children that it supervises
    """

    name: str
    run: Callable[[Parts], Awaitable[None]] | None
    budget: Budget
    health: str
    mailbox: int = 0
    second: int = 0
    when_full: str = "–"
    each: "Child | None" = None


# A host's frames: past them, the gateway stops reading its sockets, and TCP holds the rest.
HOST: Final = Child("host:…", None, Budget(5, 60), "hosts", 64, when_full="the gateway stops reading the socket")
DELIVERY: Final = Child("delivery:…", None, Budget(10, 60), "delivery", when_full="coalesces: it sweeps the store")
# Four batches: more only adds latency, and who waits holds up its own reports, not others'.
STORE: Final = Child(
    "store", Parts.run_store, Budget(5, 60), "store", 1024, 256, "senders wait; log lines are dropped and counted"
)  # fmt: skip
# As many as the store can take over at once.
RULES: Final = Child("rules", Parts.run_rules, Budget(5, 60), "rules", 1024, when_full="host actors wait, then TCP")
# Frames queued to an agent that reads nothing: as many acks as it may have reports in flight, and some.
GATEWAY: Final = Child(
    "gateway", Parts.run_gateway, Budget(5, 60), "gateway", 10_000,
    when_full="the peer reads nothing: cut off; it sends too fast: read later",
)  # fmt: skip

CORE: Final = (
    STORE,
    RULES,
    Child(
        "fleet", partial(Parts.run_fleet, of_each_host=HOST.budget), Budget(3, 60), "hosts",
        when_full="coalesces", each=HOST,
    ),
    Child("ticker", Parts.run_ticker, Budget(3, 60), "ticker"),
    Child("pulse", Parts.run_pulse, Budget(3, 60), "store"),
    Child("zones", Parts.run_zones, Budget(3, 60), "zones"),
    Child("awake", Parts.run_awake, Budget(3, 60), "awake"),
    Child("janitor", Parts.run_janitor, Budget(3, 60), "janitor"),
    Child("digests", Parts.run_digests, Budget(3, 60), "digests"),
    Child("policies", Parts.run_policies, Budget(3, 60), "policies", when_full="coalesces"),
    Child("repositories", Parts.run_repositories, Budget(3, 60), "repositories", when_full="coalesces"),
    Child("lag", Parts.run_lag, Budget(3, 60), "lag"),
    Child("garbage", Parts.run_garbage, Budget(3, 60), "lag"),
    Child("keepalive", Parts.run_keepalive, Budget(3, 60), "keepalive"),
    Child("watchdog", Parts.run_watchdog, Budget(3, 60), "watchdog"),
)  # fmt: skip
"""Ended last."""
EDGES: Final = (
    GATEWAY,
    Child("web", Parts.run_web, Budget(5, 60), "web"),
    Child(
        "post", partial(Parts.run_post, of_each_channel=DELIVERY.budget), Budget(5, 60), "delivery",
        when_full="coalesces", each=DELIVERY,
    ),
)  # fmt: skip
"""Closed first, within `CLOSE_SECONDS`."""
SIZES: Final = Sizes(
    store=STORE.mailbox, log_lines=STORE.second, rules=RULES.mailbox, host=HOST.mailbox,
    outbox=GATEWAY.mailbox,
)  # fmt: skip


CHILDREN: Final = tuple(child for top in (*CORE, *EDGES) for child in (top, top.each) if child is not None)
"""All, those of a supervisor after it."""
CHECK_OF: Final = {child.name.partition(":")[0]: child.health for child in CHILDREN}
"""The check of /healthz by the first part of an actor's name."""


@dataclass(slots=True)
class Server:
    """What a caller may know of a running server."""

    settings: Settings
    setup_token: str | None = None
    ready: trio.Event = field(default_factory=trio.Event)
    waits: trio.Event = field(default_factory=trio.Event)
    """One of several nodes, whose lease another one has."""
    closing: trio.Event = field(default_factory=trio.Event)
    box: SecretBox | None = None
    notifier: Notifier = field(default_factory=Notifier)


async def serve(server: Server) -> None:
    """Run until `server.closing` is set. Raises StartError; in a group, OverBudgetError: an actor kept crashing."""
    settings = server.settings
    with bootstrap.alone(settings):
        if isinstance(settings.place, Path):
            await _serve_as_leader(server, Tenure())
        else:
            await _serve_in_turn(server)


async def _serve_in_turn(server: Server) -> None:
    """One of several nodes: wait until the lease is ours, then lead. Raises LeaseLostError in a group, too."""
    settings = server.settings
    bootstrap.prepare_to_wait(settings)
    tenure = Tenure(lease_seconds=settings.lease_seconds)
    membership = Membership(settings)
    waiting = Waiting(settings, membership)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stand_on_the_porch, server, waiting)
        await race(partial(waiting.until_taken, tenure), server.closing.wait)
        nursery.cancel_scope.cancel()
    if tenure.turn is not None:
        await lead(membership, tenure, partial(_serve_as_leader, server, tenure, membership))
    membership.close()


async def _stand_on_the_porch(server: Server, waiting: Waiting) -> None:
    settings = server.settings
    port = Port(settings.listen, 1024)
    await bootstrap.open_ports(port)
    headers = Perimeter(settings).headers
    app = create_porch(lambda: waiting.leader, lambda: waiting.trouble, headers)
    web = http.WebSettings(
        port, bootstrap.load_inbound_tls(settings), headers, nobody, parse_networks(settings.trusted_proxies),
        bootstrap.files_for_agents(),
    )  # fmt: skip
    server.notifier.tell("READY=1", "STATUS=waits for the lease")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_alive, server.notifier, dict)
        await http.run(web, app, server.closing, lambda: None, server.waits.set)


async def nobody(_: object) -> bool:
    """On the porch nobody is signed in."""
    return False


async def _serve_as_leader(server: Server, tenure: Tenure, membership: Membership | None = None) -> None:
    settings = server.settings
    # In a thread: a migration may take minutes, and the lease has to be renewed meanwhile.
    box = server.box = await trio.to_thread.run_sync(bootstrap.open_data_dir, settings)
    if membership is not None:
        membership.box = box
    server.setup_token = await trio.to_thread.run_sync(make_setup_token, settings)
    garbage.start()
    parts = Parts(await _open(server, box), SIZES, CHECK_OF, server.ready, server.closing, tenure)
    try:
        await _run(parts)
    finally:
        parts.reader.close()


async def _open(server: Server, box: SecretBox) -> Opened:
    settings = server.settings
    policy, outbound_tls = bootstrap.outbound_policy(settings), bootstrap.load_outbound_tls()
    agent_port, web_port = Port(settings.agent_listen, 4096), Port(settings.listen, 1024)
    fetch = bootstrap.watchdog_fetch(settings, policy, outbound_tls) if settings.watchdog_url else None
    opened = Opened(
        settings, box, policy, outbound_tls, bootstrap.load_inbound_tls(settings), agent_port, web_port,
        server.notifier, fetch,
    )  # fmt: skip
    await bootstrap.open_ports(agent_port, web_port)
    return opened


async def _run(parts: Parts) -> None:
    # The store ends after all others: they wait for its answers, shielded, and without it for half a minute.
    async with trio.open_nursery() as below:
        _start(below, (STORE,), parts)
        async with trio.open_nursery() as core:
            _start(core, tuple(child for child in CORE if child is not STORE), parts)
            async with trio.open_nursery() as edges:
                _start(edges, EDGES, parts)
                await parts.closing.wait()
                edges.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
            core.cancel_scope.cancel()
        below.cancel_scope.cancel()


def _start(nursery: trio.Nursery, children: tuple[Child, ...], parts: Parts) -> None:
    for child in children:
        if child.run is not None:
            nursery.start_soon(supervise, child.name, partial(child.run, parts), child.budget, parts.status)
