"""Python's garbage collector, as the server sets it. Each test has a process of its own: it is one for all of it."""

import subprocess
import sys

import pytest

MANY = "kept = [[number] for number in range(200_000)]"


def run(code: str) -> str:
    """What a process prints that has begun as the server does."""
    begun = f"import gc, weakref\nfrom rmactors.server.runtime import garbage\ngarbage.start()\n{code}"
    return subprocess.run([sys.executable, "-c", begun], capture_output=True, text=True, check=True).stdout.strip()


def test_what_lives_on_is_set_aside_and_never_looked_at_again() -> None:
    found = run(f"{MANY}\nprint(sum(len(gc.get_objects(generation=old)) for old in (0, 1, 2)))")
    assert int(found) < 2 * 2_000 * 10


def test_what_lives_shortly_and_refers_to_itself_is_freed_soon() -> None:
    code = """
class Thing: pass
thing = Thing(); thing.itself = thing
alive = weakref.ref(thing)
del thing
kept = [[number] for number in range(5_000)]
print(alive())
"""
    assert run(code) == "None"


def test_garbage_among_what_was_set_aside_is_found_when_everything_is_looked_at() -> None:
    code = f"""
class Thing: pass
thing = Thing(); thing.itself = thing
alive = weakref.ref(thing)
{MANY}
del thing
{MANY.replace("kept", "more")}
waits = alive() is not None
garbage.look_at_all()
print(waits, alive())
"""
    assert run(code) == "True None"


@pytest.mark.parametrize(("agents", "left"), [(0, "None"), (2_000, "there")])
def test_everything_is_looked_at_once_half_as_much_again_was_set_aside_that_no_agents_explain(
    agents: int, left: str
) -> None:
    code = f"""
import trio
from trio.testing import MockClock
class Thing:
    def __repr__(self): return "there"
async def main():
    connected = [0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(garbage.keep, lambda: connected[0])
        await trio.testing.wait_all_tasks_blocked()
        thing = Thing(); thing.itself = thing
        alive = weakref.ref(thing)
        {MANY}
        del thing
        {MANY.replace("kept", "more")}
        before = alive() is not None
        connected[0] = {agents}
        await trio.sleep(garbage.CHECK_SECONDS + 1)
        print(before, alive())
        nursery.cancel_scope.cancel()
trio.run(main, clock=MockClock(autojump_threshold=0))
"""
    assert run(code) == f"True {left}"


def test_the_young_are_few_also_where_each_takes_the_place_of_one_that_is_set_aside() -> None:
    code = """
import trio
from trio.testing import MockClock
async def main():
    kept = [[number] for number in range(200_000)]
    for _ in range(30): gc.collect(1)
    agents, most = 10_000, 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(garbage.keep, lambda: agents)
        for second in range(40):
            for place in range(0, 200_000, 40):
                kept[place + second] = [second]
            await trio.sleep(1)
            most = max(most, len(gc.get_objects(generation=0)) + len(gc.get_objects(generation=1)))
        nursery.cancel_scope.cancel()
    print(most)
trio.run(main, clock=MockClock(autojump_threshold=0))
"""
    assert int(run(code)) < 15_000
