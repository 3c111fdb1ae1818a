"""Hosts take turns: anyone who has a thousand alerts holds up nobody who has one. Times are microseconds from 0."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.common.clock import DAY, MINUTE, SECOND
from rmactors.server.actors.delivery.breaker import Breaker
from rmactors.server.actors.delivery.queue import CONCURRENT, DeliveryQueue
from tests.delivery.queues import AGAIN, OK, delivery, end, grouped, longest, names, pick_all, queue


def drained(waiting: DeliveryQueue, now: int = 0) -> list[str]:
    """Hosts in the order in which their messages went out, one send at a time."""
    hosts = []
    while (batch := waiting.pick(now)) is not None:
        hosts.append(batch.main.host_id)
        end(waiting, batch, OK, now)
    return hosts


def test_one_alert_of_a_host_goes_out_next_however_many_of_another_one_wait() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}", host_id="loud") for n in range(1_500)])
    in_flight = pick_all(waiting, 0)
    assert {batch.main.host_id for batch in in_flight} == {"loud"}
    waiting.add([delivery(2_000, "b", host_id="quiet")])
    end(waiting, in_flight[0], OK, 0)
    end(waiting, in_flight[1], OK, 0)
    assert [batch.main.host_id for batch in pick_all(waiting, 0)] == ["loud", "quiet"]


def test_hosts_go_round_and_each_keeps_its_own_order() -> None:
    waiting = queue()
    of_host = {"one": 5, "two": 1, "three": 3}
    seq = 0
    for host, number in of_host.items():
        for _ in range(number):
            waiting.add([delivery(seq, f"a{seq}", host_id=host)])
            seq += 1
    picked = pick_all(waiting, 0)
    assert [batch.main.host_id for batch in picked] == [
        "one", "two", "three", "one", "three", "one", "three", "one", "one",
    ]  # fmt: skip
    for host in of_host:
        seqs = [batch.main.seq for batch in picked if batch.main.host_id == host]
        assert seqs == sorted(seqs)


def test_what_is_about_no_host_has_one_turn_among_the_hosts() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}", host_id="") for n in range(3)])
    waiting.add([delivery(9, "b", host_id="nas1")])
    assert drained(waiting) == ["", "nas1", "", ""]


def test_the_messages_of_one_alert_stay_in_order_while_hosts_take_turns() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([delivery(0, "a", host_id="one"), delivery(1, "a", "alert.acknowledged", host_id="one")])
    waiting.add([delivery(2, "b", host_id="two"), delivery(3, "a", "alert.resolved", host_id="one")])
    first, second = pick_all(waiting, 0)
    assert (names(first), names(second)) == (["d0"], ["d2"])
    end(waiting, first, OK, 0)
    assert names(waiting.pick(0)) == ["d1"]


def test_a_group_is_one_turn_of_its_host() -> None:
    waiting = queue()
    waiting.add([grouped(n, f"a{n}", host="one") for n in range(5)])
    waiting.add([delivery(50, "b", host_id="two"), delivery(51, "c", host_id="two")])
    waiting.add([delivery(60, "late", host_id="one", due_at=MINUTE)])
    picked = pick_all(waiting, MINUTE)
    assert [(batch.main.host_id, len(batch.deliveries)) for batch in picked] == [
        ("two", 1), ("one", 5), ("two", 1), ("one", 1),
    ]  # fmt: skip


def test_probes_of_a_failing_channel_go_round_the_hosts_as_well() -> None:
    """The receiver refuses all that one host says: the first probe for another one ends that."""
    waiting = queue(failing_since=0)
    waiting.add([delivery(n, f"a{n}", host_id="refused") for n in range(500)])
    waiting.add([delivery(900, "b", host_id="liked")])
    end(waiting, waiting.pick(0), AGAIN, 0)
    at = waiting.next_at()
    assert at is not None
    probe = waiting.pick(at)
    assert names(probe) == ["d900"]
    end(waiting, probe, OK, at)
    assert waiting.breaker.failing_since is None


def test_what_was_queued_before_a_restart_takes_turns_after_it() -> None:
    waiting = DeliveryQueue(Breaker(longest, 0, probe_at=SECOND), DAY, takes_resolved=True)
    waiting.add([delivery(n, f"a{n}", host_id="loud", attempts=2, due_at=SECOND) for n in range(1_500)])
    waiting.add([delivery(2_000, "b", host_id="quiet", due_at=SECOND)])
    first = waiting.pick(SECOND)
    assert first is not None
    end(waiting, first, OK, SECOND)
    assert "quiet" in [first.main.host_id, *(batch.main.host_id for batch in pick_all(waiting, SECOND)[:2])]


@settings(max_examples=100, deadline=None)
@given(
    hosts=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    arrive=st.integers(1, 60),
    chance=st.randoms(use_true_random=False),
)
def test_nobody_is_passed_over_twice(hosts: list[int], arrive: int, chance: object) -> None:
    """Between two sends of one host, every other host that has something ready has had a turn."""
    waiting = queue()
    deliveries = [delivery(n, f"a{n}", host_id=f"h{host}") for n, host in enumerate(hosts)]
    ready: Counter[str] = Counter()
    since: dict[str, list[str]] = {}  # host with something ready → who went since it was its turn, or since it came
    in_flight = []
    while deliveries or ready or in_flight:
        coming, deliveries = deliveries[:arrive], deliveries[arrive:]
        waiting.add(coming)
        for each in coming:
            ready[each.host_id] += 1
            since.setdefault(each.host_id, [])
        while (batch := waiting.pick(0)) is not None:
            host = batch.main.host_id
            for other, passed in since.items():
                assert passed.count(host) == 0 or other == host, f"{host} again before {other}"
                passed.append(host)
            ready[host] -= 1
            since[host] = []
            if not ready[host]:
                del ready[host], since[host]
            in_flight.append(batch)
            assert len(in_flight) <= CONCURRENT
        if in_flight:
            end(waiting, in_flight.pop(chance.randrange(len(in_flight))), OK, 0)  # type: ignore[attr-defined]
    assert len(waiting) == 0
