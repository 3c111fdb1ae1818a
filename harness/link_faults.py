"""What the links drill does to a link: each fault begins, lasts and is over, with the link healed by its caller.

A fault that leaves connections dead says nothing to either end: they find out by themselves, or they do not.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from harness.bad_link import BadLink, Crossing, Way

Fault = Callable[[BadLink, random.Random, float], Awaitable[bool | None]]
"""Of a link, for so many seconds. False where what it wanted did not come about."""


async def _one_way(link: BadLink, way: Way, seconds: float, *, late: bool) -> None:
    """The packets of one direction never come: sent again and again by the kernel, they are there at last, or a box on
    the way has forgotten the connection by then."""
    way.hold()
    await trio.sleep(seconds)
    if not late:
        link.die()


async def agent_unheard(link: BadLink, dice: random.Random, seconds: float) -> None:
    await _one_way(link, link.to_server, seconds, late=True)


async def agent_unheard_for_good(link: BadLink, dice: random.Random, seconds: float) -> None:
    await _one_way(link, link.to_server, seconds, late=False)


async def server_unheard(link: BadLink, dice: random.Random, seconds: float) -> None:
    await _one_way(link, link.to_agent, seconds, late=True)


async def server_unheard_for_good(link: BadLink, dice: random.Random, seconds: float) -> None:
    await _one_way(link, link.to_agent, seconds, late=False)


async def stalled(link: BadLink, dice: random.Random, seconds: float) -> None:
    link.to_server.hold()
    await _one_way(link, link.to_agent, seconds, late=True)


async def gone_in_silence(link: BadLink, dice: random.Random, seconds: float) -> None:
    """What was open is forgotten by all who are between; a new connection would do."""
    link.die()
    await trio.sleep(seconds)


async def far_away(link: BadLink, dice: random.Random, seconds: float) -> None:
    for way in (link.to_server, link.to_agent):
        way.delay, way.jitter = dice.uniform(0.1, 0.5), dice.uniform(0.0, 0.5)
    await trio.sleep(seconds)


async def slow(link: BadLink, dice: random.Random, seconds: float) -> None:
    for way in (link.to_server, link.to_agent):
        way.rate = dice.uniform(2_000, 8_000)
    await trio.sleep(seconds)


async def reset(link: BadLink, dice: random.Random, seconds: float) -> None:
    link.cut(reset=True)


async def ended(link: BadLink, dice: random.Random, seconds: float) -> None:
    link.cut(reset=False)


async def cut_in_mid_frame(link: BadLink, dice: random.Random, seconds: float) -> None:
    """In the upgrade, in the hello, in a report: again and again."""
    until = trio.current_time() + seconds
    while trio.current_time() < until:
        for crossing in link.crossings:
            crossing.cut_after(dice.choice((60, 400, 900, 2000)) + dice.randrange(300))
        made = link.made
        with trio.move_on_at(until):
            await link.until(lambda made=made: link.made > made)  # type: ignore[misc]


async def refused(link: BadLink, dice: random.Random, seconds: float) -> None:
    link.refuse()
    link.cut(reset=True)
    await trio.sleep(seconds)


async def swallowed(link: BadLink, dice: random.Random, seconds: float) -> None:
    """New connections are open and get no answer; at the end all of them are looked at, late."""
    link.swallow()
    link.cut(reset=True)
    await trio.sleep(seconds)


async def up_and_down(link: BadLink, dice: random.Random, seconds: float) -> None:
    until = trio.current_time() + seconds
    while trio.current_time() < until:
        link.to_server.hold()
        link.to_agent.hold()
        await trio.sleep(dice.uniform(0, seconds / 3))
        link.heal()
        await trio.sleep(dice.uniform(0, seconds / 6))


async def late_hello_after_reset(link: BadLink, dice: random.Random, seconds: float) -> bool:
    """The agent's end is reset while its hello is on the way: it comes back, and then the old hello arrives."""
    held = await _held_hello(link)
    held.reset_agent()
    return await _arrives_late(link, held)


async def late_hello_given_up(link: BadLink, dice: random.Random, seconds: float) -> bool:
    """The hello takes longer than its agent, or the server, waits for it: the agent comes back, and then it arrives."""
    return await _arrives_late(link, await _held_hello(link))


async def _held_hello(link: BadLink) -> Crossing:
    """A connection with its hello on the way, the only such one: the next passes as usual."""
    link.hold_hellos = True
    link.cut(reset=True)
    await link.until(lambda: bool(_with_held_hello(link)))
    link.hold_hellos = False
    held, *others = _with_held_hello(link)
    for other in others:
        other.cut(reset=True)
    return held


def _with_held_hello(link: BadLink) -> list[Crossing]:
    return [c for c in link.crossings if c.hello_waits.is_set() and not c.hello.is_set()]


async def _arrives_late(link: BadLink, held: Crossing) -> bool:
    """False where the server had closed the connection by then."""
    welcomes = link.welcomes
    await link.until(lambda: link.welcomes > welcomes)
    arrives = held in link.crossings and not held.server_left
    held.hello.set()
    return arrives


FAULTS: Final[dict[str, Fault]] = {
    "agent unheard, then late": agent_unheard,
    "agent unheard, then dead": agent_unheard_for_good,
    "server unheard, then late": server_unheard,
    "server unheard, then dead": server_unheard_for_good,
    "both directions stalled": stalled,
    "gone in silence": gone_in_silence,
    "far away": far_away,
    "slow": slow,
    "reset": reset,
    "ended": ended,
    "cut in mid-frame": cut_in_mid_frame,
    "refused": refused,
    "swallowed": swallowed,
    "up and down": up_and_down,
    "late hello, its agent reset": late_hello_after_reset,
    "late hello, given up": late_hello_given_up,
}
LATE_HELLOS: Final = tuple(name for name in FAULTS if name.startswith("late hello"))
SEEN_AT_ONCE: Final = ("far away", "slow", "reset", "ended", "refused", "late hello, its agent reset")
"""What an agent notices without waiting, or not at all."""
