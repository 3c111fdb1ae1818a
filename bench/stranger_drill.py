"""A stranger does their worst through a real proxy, from one address; agents and signed-in users come in meanwhile.

    python -m bench.stranger_drill [--seconds 20] [--rate 1000]      # or: python -m bench.drill --stranger

The proxies are nginx and Caddy with the files of `deploy/`, on loopback. Half of the stranger's tries are wrong tokens
on the agents' name, half are logins of whose body one byte comes. What others notice is measured before it begins and
while it lasts: a new connection of an agent up to its answer, a page by a session, the login page of somebody else.
As TLS for each try costs the proxy and this machine more than the server, there is a third run: the same without TLS
straight to the server, as from one more trusted proxy, while the others come through nginx. Prints figures; exits 1
where anybody but the stranger was refused.

The tries are made in a process of their own, as many as this machine can make: the figures say how many that were. It
ends by itself, and holds at most 2,000 connections.
"""

import json
import ssl
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

import click
import trio

from harness.agents import enroll_host
from harness.processes import ROOT
from harness.proxies import STRANGER, UPGRADE, Proxy, Site, caddy, nginx, running_site

LONGEST_SECONDS = 300.0
HELD = 2_000
"""Connections with a slow body that are open at once; the oldest is closed for the next."""
LANES = 40
"""Connections that wrong tokens go out on, one after the other."""
PAUSE = 0.1
BEFORE_SECONDS = 5.0


# ---- the stranger, in a process of its own


async def attack(pages: int, agents: int, ca: Path, seconds: float, rate: float, *, straight: bool) -> Counter[str]:
    """Tries at that rate together, from one address, until the time is over. How each ended, by kind."""
    trust = ssl.create_default_context(cafile=str(ca))
    more = f"X-Forwarded-For: {STRANGER}\r\n" if straight else ""
    counts: Counter[str] = Counter()
    held: deque[trio.abc.Stream] = deque()
    until = trio.current_time() + seconds

    async def connect(port: int) -> trio.abc.Stream:
        if straight:
            return await trio.open_tcp_stream("127.0.0.1", port)
        tcp = await trio.open_tcp_stream("127.0.0.1", port, local_address=STRANGER)
        return trio.SSLStream(tcp, trust, server_hostname="localhost", https_compatible=True)

    async def guess() -> None:
        """Wrong tokens on one connection for as long as the proxy keeps it open."""
        lines = [f"{name}: {value}" for name, value in UPGRADE.items()]
        text = "\r\n".join(["GET /ws/agent HTTP/1.1", "Host: localhost", "Authorization: Bearer rmh_wrong", *lines])
        async with await connect(agents) as stream:
            while True:
                await pace.turn()
                await stream.send_all(f"{text}\r\n{more}\r\n".encode())
                answer = b""
                while not answer.endswith(b"\n") or b"\r\n\r\n" not in answer[:-1]:  # its body ends in a new line
                    chunk = await stream.receive_some(65536)
                    if not chunk:
                        break
                    answer += chunk
                counts[f"token {answer[9:12].decode() or 'closed'}"] += 1
                if straight or not answer or b"connection: close" in answer.lower():
                    return

    async def begin_a_body() -> None:
        await pace.turn()
        stream = await connect(pages)
        head = f"POST /login HTTP/1.1\r\nHost: localhost:{pages}\r\n{more}Content-Length: 100\r\n\r\nu"
        await stream.send_all(head.encode())
        counts["slow body"] += 1
        held.append(stream)
        if len(held) > HELD:
            await trio.aclose_forcefully(held.popleft())

    async def lane(once: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await once()
            except (OSError, trio.BrokenResourceError, ssl.SSLError):
                counts["no connection"] += 1
                await trio.sleep(0.05)

    pace = _Pace(rate)
    with trio.move_on_at(until):
        async with trio.open_nursery() as nursery:
            for _ in range(LANES):
                nursery.start_soon(lane, guess)
                nursery.start_soon(lane, begin_a_body)
    for stream in held:
        await trio.aclose_forcefully(stream)
    return counts


class _Pace:
    """So many turns in a second, all who wait together. What could not be used is not made up for."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = 0.0

    async def turn(self) -> None:
        now = trio.current_time()
        self._next = max(self._next + self._gap, now)
        await trio.sleep_until(self._next)


# ---- everybody else


@dataclass
class Seen:
    """Seconds that each took, and what was wrong with others."""

    took: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)


async def look(seen: Seen, once: Callable[[], Awaitable[int]], right: int) -> None:
    """Again and again, until cancelled."""
    while True:
        began = monotonic()
        try:
            with trio.fail_after(30):
                status = await once()
        except Exception as error:  # of the client library, in many kinds: none should be
            seen.wrong[type(error).__name__] += 1
        else:
            if status == right:
                seen.took.append(monotonic() - began)
            else:
                seen.wrong[str(status)] += 1
        await trio.sleep(PAUSE)


async def watch(site: Site, seconds: float, rate: float, straight: bool) -> tuple[dict[str, tuple[Seen, Seen]], str]:
    """What others see before and during the attack, and what the attack says of itself."""
    host = await enroll_host(site.server, "honest")
    async with site.browser() as browser:
        await site.sign_in(browser)
        cookies = dict(browser.cookies)

    async def page() -> int:
        async with site.browser() as fresh:
            fresh.cookies.update(cookies)
            return (await fresh.get("/alerts")).status_code

    async def login_page() -> int:
        async with site.browser(address="127.0.0.4") as somebody:
            return (await somebody.get("/login")).status_code

    async def agent() -> int:
        return await site.shows(host.token, "127.0.0.6")

    async def neighbour() -> int:
        return await site.shows(host.token, STRANGER)

    who = {
        "an agent's connection": (agent, 101), "an agent's, from the stranger's address": (neighbour, 101),
        "a page of a session": (page, 200), "somebody's login page": (login_page, 200),
    }  # fmt: skip
    seen = {name: (Seen(), Seen()) for name in who}

    async def all_look(number: int, nursery: trio.Nursery) -> None:
        for name, (once, right) in who.items():
            nursery.start_soon(look, seen[name][number], once, right)

    async with trio.open_nursery() as nursery:
        await all_look(0, nursery)
        await trio.sleep(BEFORE_SECONDS)
        nursery.cancel_scope.cancel()
    ports = [url.rpartition(":")[2] for url in (site.url, site.agents_url)]
    if straight:
        ports = [str(site.server.port), str(site.server.agent_port)]
    command = [sys.executable, "-m", "bench.stranger_drill", "--attack", *ports, str(site.authority.file)]
    command += ["--seconds", str(seconds), "--rate", str(rate), *(["--straight"] if straight else [])]
    async with trio.open_nursery() as nursery:
        await all_look(1, nursery)
        done = await trio.run_process(command, capture_stdout=True, cwd=ROOT)
        nursery.cancel_scope.cancel()
    return seen, done.stdout.decode()


def show(name: str, seen: dict[str, tuple[Seen, Seen]], told: str, seconds: float) -> bool:
    """Print it. Whether nobody was refused."""
    counts: dict[str, int] = json.loads(told)
    click.echo(f"\n{name}: {sum(counts.values()) / seconds:.0f} tries a second")
    click.echo("  " + ", ".join(f"{number} × {what}" for what, number in sorted(counts.items())))
    good = True
    for who, (before, during) in seen.items():
        good = good and bool(during.took) and not during.wrong
        wrong = f"   refused: {dict(during.wrong)}" if during.wrong else ""
        click.echo(f"  {who:<42} before {_times(before.took)}   during {_times(during.took)}{wrong}")
    return good


def _times(took: list[float]) -> str:
    if not took:
        return "none"
    ordered = sorted(took)
    return f"p50 {ordered[len(ordered) // 2] * 1000:.0f}, longest {ordered[-1] * 1000:.0f} ms of {len(took)}"


RUNS: dict[str, tuple[Proxy, bool]] = {
    "through nginx": (nginx, False), "through Caddy": (caddy, False), "straight to the server": (nginx, True),
}  # fmt: skip


def run(seconds: float = 20.0, rate: float = 1000.0) -> int:
    """The exit code."""
    good = True
    for name, (proxy, straight) in RUNS.items():
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            with running_site(proxy, folder) as site:
                seen, told = trio.run(watch, site, seconds, rate, straight)
        good = show(name, seen, told, seconds) and good
    return 0 if good else 1


@click.command()
@click.option("--seconds", type=click.FloatRange(1, LONGEST_SECONDS), default=20.0, show_default=True)
@click.option("--rate", type=click.FloatRange(1, 10_000), default=1000.0, show_default=True, help="Tries a second.")
@click.option(
    "--attack", "attack_on", type=(int, int, Path), hidden=True, help="Ports of pages and agents on loopback, CA file."
)
@click.option("--straight", is_flag=True, hidden=True)
def main(seconds: float, rate: float, attack_on: tuple[int, int, Path] | None, straight: bool) -> None:
    """A stranger's flood through nginx and Caddy, and what others notice of it."""
    if attack_on is not None:
        click.echo(json.dumps(trio.run(partial(attack, *attack_on, seconds, rate, straight=straight))))
        return
    sys.exit(run(seconds, rate))


if __name__ == "__main__":
    main()
