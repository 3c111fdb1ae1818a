"""What of a channel's queue is in memory: every host has its share, nothing is read twice or left behind."""

import random
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.server.actors.delivery.backlog import Backlog
from rmactors.server.state.delivery import Delivery
from tests.delivery.queues import delivery


def of(host: str, *places: int) -> list[Delivery]:
    return [delivery(place, f"a{place}", host_id=host) for place in places]


def test_a_host_that_is_alone_may_fill_the_memory() -> None:
    backlog = Backlog(window=10, least=2)
    taken = backlog.found(of("loud", *range(25)))
    assert [each.seq for each in taken] == list(range(10))
    assert backlog.seen == 24
    assert backlog.wanted() == {}


def test_what_another_host_queued_behind_a_flood_is_in_memory_at_once() -> None:
    backlog = Backlog(window=10, least=2)
    backlog.found(of("loud", *range(1_000)))
    assert [each.host_id for each in backlog.found(of("quiet", 1_000, 1_001))] == ["quiet", "quiet"]


def test_of_a_host_whose_messages_wait_in_the_store_the_newer_ones_wait_behind_them() -> None:
    backlog = Backlog(window=4, least=1)
    backlog.found(of("loud", 0, 1, 2, 3, 4))
    backlog.ended("loud")
    assert backlog.found(of("loud", 5)) == []
    backlog.ended("loud")
    assert backlog.wanted() == {"loud": [4, 5]}


def test_more_is_read_when_half_of_a_share_is_done() -> None:
    backlog = Backlog(window=10, least=2)
    backlog.found(of("loud", *range(30)))
    for _ in range(4):
        backlog.ended("loud")
    assert backlog.wanted() == {}
    backlog.ended("loud")
    wanted = backlog.wanted()
    assert wanted == {"loud": [10, 11, 12, 13, 14]}
    assert backlog.wanted() == wanted, "as long as nobody says that they were read"
    backlog.read(wanted, of("loud", *wanted["loud"]))
    assert backlog.wanted() == {}


def test_where_the_others_are_done_a_host_has_more_room_without_a_send_of_its_own() -> None:
    """What it has in memory may be messages that the receiver does not like, which wait for long."""
    backlog = Backlog(window=12, least=1)
    backlog.found([each for host in "abc" for each in of(host, ord(host))])
    backlog.found(of("a", *range(200, 220)))
    assert backlog.wanted() == {}
    backlog.ended("b")
    backlog.ended("c")
    assert backlog.wanted() == {"a": list(range(203, 211))}


def test_a_host_that_has_more_than_its_share_by_now_gets_no_more() -> None:
    backlog = Backlog(window=8, least=1)
    backlog.found(of("a", *range(20)))
    for _ in range(4):
        backlog.ended("a")
    backlog.found([each for n in range(7) for each in of(f"h{n}", 100 + n)])
    assert backlog.wanted() == {}


def test_what_is_not_queued_any_more_when_it_is_read_is_forgotten() -> None:
    backlog = Backlog(window=2, least=1)
    backlog.found(of("a", 0, 1, 2, 3, 4, 5, 6))
    backlog.ended("a")
    backlog.ended("a")
    wanted = backlog.wanted()
    assert wanted == {"a": [2, 3]}
    backlog.read(wanted, [])
    wanted = backlog.wanted()
    assert wanted == {"a": [4, 5]}
    backlog.read(wanted, [])
    backlog.read(backlog.wanted(), [])
    assert backlog.wanted() == {}
    assert [each.seq for each in backlog.found(of("a", 7))] == [7]


@settings(max_examples=100, deadline=None)
@given(
    hosts=st.lists(st.integers(0, 6), max_size=60),
    window=st.integers(1, 20),
    least=st.integers(1, 4),
    page=st.integers(1, 15),
    chance=st.randoms(use_true_random=False),
)
def test_all_is_read_once_in_the_order_of_each_host_and_no_host_waits_outside(
    hosts: list[int], window: int, least: int, page: int, chance: random.Random
) -> None:
    backlog = Backlog(window, least)
    store = [delivery(n, f"a{n}", host_id=f"h{host}") for n, host in enumerate(hosts)]
    queued = {each.seq: each for each in store}
    memory: dict[str, list[int]] = defaultdict(list)
    done: dict[str, list[int]] = defaultdict(list)
    read_to = 0
    while queued or read_to < len(store):
        if chance.random() < 0.5:
            for each in backlog.found(store[read_to : read_to + page]):
                memory[each.host_id].append(each.seq)
            read_to = min(len(store), read_to + page)
        busy = [host for host, places in memory.items() if places]
        wanted = backlog.wanted()
        if busy and chance.random() < 0.7:  # an end may come while the store is read
            host = chance.choice(busy)
            done[host].append(memory[host].pop(0))
            del queued[done[host][-1]]
            backlog.ended(host)
        if wanted and chance.random() < 0.8:  # else the store could not be read
            found = [queued[place] for places in wanted.values() for place in places]
            backlog.read(wanted, found)
            for each in found:
                memory[each.host_id].append(each.seq)
        if not backlog.wanted():
            known = {each.host_id for each in store[:read_to] if each.seq in queued}
            assert known == {host for host, places in memory.items() if places}, "nobody waits outside"
        shares = [max(least, window // n) for n in range(1, 8)]
        assert sum(len(places) for places in memory.values()) <= sum(shares)
    for host, places in done.items():
        assert places == [each.seq for each in store if each.host_id == host], "each once, in order"


def test_what_waits_for_the_end_of_quiet_hours_keeps_nothing_loud_in_the_store() -> None:
    backlog = Backlog(window=4, least=1, apart=True)
    held = [delivery(n, host_id="h") for n in range(1, 10)]
    assert len(backlog.found(held)) == 4
    loud = [delivery(n, host_id="h", loud=True) for n in range(10, 15)]
    assert [each.seq for each in backlog.found(loud)] == [10, 11]
    backlog.ended("h", loud=True)
    backlog.ended("h", loud=True)
    wanted = backlog.wanted()
    assert list(wanted.values()) == [[12, 13]]
    backlog.read(wanted, loud[2:4])
    assert backlog.wanted() == {}


def test_without_quiet_hours_a_host_has_one_share() -> None:
    backlog = Backlog(window=4, least=1)
    assert len(backlog.found([delivery(n, host_id="h", loud=n > 4) for n in range(1, 10)])) == 4
