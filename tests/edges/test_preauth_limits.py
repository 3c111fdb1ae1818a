"""Whose connections are counted, where, and which of them goes when there are too many."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.edges.addresses import parse_networks
from rmactors.server.edges.preauth_limits import (
    BODIES_IN_ALL,
    BODY_AT_MOST,
    IN_ALL,
    KEPT_BACK,
    PENALTY_SECONDS,
    PER_ADDRESS,
    PreauthLimits,
    Slot,
    in_line,
    places,
)

PROXY = "10.0.0.1"
ONE, OTHER = "192.0.2.1", "192.0.2.2"


class Port:
    """A book and the connections that it has ended, by their number."""

    def __init__(self, proxies: str = "10.0.0.0/8") -> None:
        self.limits = PreauthLimits(parse_networks(proxies))
        self.ended: list[int] = []
        self.made = 0

    def connects(self, peer: str) -> Slot:
        number = self.made
        self.made += 1
        return self.limits.admit(peer, lambda: self.ended.append(number))

    def asks(self, peer: str, address: str, now: float = 0.0) -> Slot | None:
        """A connection whose request has come; None where it is refused."""
        slot = self.connects(peer)
        return slot if slot.comes_from(address, now) else None

    def fill(self, peer: str, address: str, now: float = 0.0) -> list[Slot]:
        """As many as are let in."""
        inside = []
        while (slot := self.asks(peer, address, now)) is not None:
            inside.append(slot)
        return inside


def test_an_address_may_have_only_so_many_and_others_do_not_notice() -> None:
    port = Port()
    assert len(port.fill(ONE, ONE)) == PER_ADDRESS
    assert port.asks(OTHER, OTHER) is not None
    assert port.ended == []


def test_behind_a_proxy_the_addresses_before_it_are_counted() -> None:
    port = Port()
    assert len(port.fill(PROXY, ONE)) == PER_ADDRESS
    assert port.asks(PROXY, OTHER) is not None
    assert port.asks(ONE, ONE) is None, "the same address, past the proxy"
    assert len(port.fill(PROXY, PROXY)) == IN_ALL - PER_ADDRESS - 1 + PER_ADDRESS + 1, "it names nobody: all that are"


def test_who_leaves_makes_room_and_leaving_twice_counts_once() -> None:
    port = Port()
    first, *_ = port.fill(ONE, ONE)
    first.leave()
    first.leave()
    assert len(port.fill(ONE, ONE)) == 1


def test_who_has_signed_in_is_not_counted_and_is_never_ended() -> None:
    port = Port()
    for _ in range(IN_ALL + 1):
        slot = port.asks(ONE, ONE)
        assert slot is not None
        slot.has_signed_in()
    assert len(port.limits) == 0
    port.fill(ONE, ONE)
    assert port.ended == []


def test_an_ipv6_network_counts_as_one_address_and_a_mapped_address_as_itself() -> None:
    port = Port()
    port.fill("2001:db8::1", "2001:db8::1")
    assert port.asks(PROXY, "2001:db8::ffff") is None
    assert port.asks(PROXY, "2001:db8:0:1::1") is not None
    port.fill(ONE, ONE)
    assert port.asks("::ffff:192.0.2.1", "::ffff:192.0.2.1") is None


def test_an_ipv6_proxy_that_names_nobody_may_have_as_many_as_there_are() -> None:
    port = Port("2001:db8::7/128")
    for _ in range(PER_ADDRESS + 1):
        assert port.asks("2001:db8::7", "2001:db8::7") is not None
    assert len(port.fill("2001:db8::8", "2001:db8::8")) == 0, "its neighbour is no proxy, and shares its network"


# ---- before the request has come


def test_of_those_that_wait_for_their_request_the_oldest_goes() -> None:
    port = Port()
    for _ in range(PER_ADDRESS + 3):
        port.connects(ONE)
    assert port.ended == [0, 1, 2]
    port.connects(OTHER)
    assert port.ended == [0, 1, 2], "another address has places of its own"


def test_a_proxy_has_as_many_as_may_wait_at_all() -> None:
    port = Port()
    for _ in range(IN_ALL):
        port.connects(PROXY)
    assert port.ended == []
    port.connects(ONE)
    assert port.ended == [0]
    assert len(port.limits) == IN_ALL


def test_waiting_takes_no_place_of_those_whose_request_has_come() -> None:
    port = Port()
    for _ in range(PER_ADDRESS):
        port.connects(ONE)
    assert len(port.fill(ONE, ONE)) == PER_ADDRESS


def test_where_few_files_may_be_open_there_are_fewer_places_in_all() -> None:
    assert [places(most) for most in (1_000_000, 4_000, 10)] == [IN_ALL, 1_000, 100]
    port = Port()
    port.limits.in_all = 3
    for n in range(4):
        assert port.asks(PROXY, f"198.51.100.{n}") is not None
    for n in range(4):
        port.connects(f"198.51.100.{n}")
    assert port.ended == [0, 4]
    assert len(port.limits) == 6


# ---- one request after the other


def test_the_next_request_of_a_proxys_connection_may_be_of_anybody() -> None:
    port = Port()
    slot = port.connects(PROXY)
    for address in (ONE, OTHER):
        assert slot.comes_from(address, 0.0)
        assert len(port.fill(PROXY, address)) == PER_ADDRESS - 1
        slot.has_signed_in()
        assert len(port.fill(PROXY, address)) == 1
        slot.waits()
    assert not slot.comes_from(ONE, 0.0), "who has signed in on it before does not count for the next"


def test_who_has_signed_in_on_their_own_connection_stays_so() -> None:
    port = Port()
    slot = port.connects(ONE)
    assert slot.comes_from(ONE, 0.0)
    slot.has_signed_in()
    slot.waits()
    port.fill(ONE, ONE)
    assert slot.comes_from(ONE, 0.0)
    assert port.limits.admit(ONE, lambda: None) is not None


def test_a_stranger_waits_again_after_an_answer() -> None:
    port = Port()
    slot = port.asks(ONE, ONE)
    assert slot is not None
    assert slot.comes_from(ONE, 0.0), "asked again about the same request"
    slot.waits()
    assert len(port.fill(ONE, ONE)) == PER_ADDRESS
    slot.leave()
    slot.waits()
    slot.has_signed_in()
    assert not slot.comes_from(ONE, 0.0), "it has ended"


# ---- wrong credentials, and good ones


def test_a_wrong_credential_keeps_its_place_for_a_while() -> None:
    port = Port()
    for slot in port.fill(PROXY, ONE, now=100.0):
        slot.penalise(100.0)
        slot.leave()
        slot.penalise(100.0)
        slot.leave()
    assert port.asks(PROXY, ONE, 100.0 + PENALTY_SECONDS - 0.1) is None
    assert port.asks(PROXY, OTHER, 100.0) is not None
    assert len(port.fill(PROXY, ONE, 100.0 + PENALTY_SECONDS)) == PER_ADDRESS


def test_a_wrong_credential_counts_for_a_while_although_its_connection_goes_on() -> None:
    port = Port()
    slot = port.asks(PROXY, ONE)
    assert slot is not None
    for _ in range(PER_ADDRESS):
        assert slot.comes_from(ONE, 100.0)
        slot.penalise(100.0)
        slot.waits()
    assert not slot.comes_from(ONE, 100.0 + PENALTY_SECONDS - 0.1)
    slot.waits()
    assert slot.comes_from(ONE, 100.0 + PENALTY_SECONDS)


def test_places_are_kept_back_for_who_shows_a_credential() -> None:
    port = Port()
    port.fill(PROXY, ONE)
    looked_up = []
    for _ in range(KEPT_BACK):
        slot = port.connects(PROXY)
        assert not slot.comes_from(ONE, 0.0)
        assert slot.is_kept_back()
        looked_up.append(slot)
    late = port.connects(PROXY)
    assert not late.comes_from(ONE, 0.0)
    assert not late.is_kept_back(), "all are being looked up"
    assert len(port.limits) == PER_ADDRESS + KEPT_BACK
    good, wrong, *_ = looked_up
    good.has_signed_in()
    assert late.is_kept_back()
    wrong.penalise(0.0)
    wrong.leave()
    assert len(port.limits) == PER_ADDRESS + KEPT_BACK - 1, "whose address is full already gets no penalty"


def test_who_is_turned_away_leaves_the_place_that_was_kept_back() -> None:
    port = Port()
    port.fill(ONE, ONE)
    for _ in range(KEPT_BACK + 1):
        slot = port.connects(ONE)
        assert not slot.comes_from(ONE, 0.0)
        assert slot.is_kept_back()
        slot.waits()  # until it has read its answer
    assert len(port.limits) == PER_ADDRESS + KEPT_BACK + 1


def test_a_place_is_kept_back_only_for_who_was_refused() -> None:
    port = Port()
    ended = port.connects(ONE)
    ended.leave()
    assert not ended.comes_from(ONE, 0.0)
    assert not ended.is_kept_back()


def test_nothing_is_remembered_of_who_is_gone() -> None:
    port = Port()
    for n in range(1_000):
        slot = port.asks(PROXY, f"198.51.{n // 250}.{n % 250}")
        assert slot is not None
        slot.penalise(0.0)
        slot.leave()
    assert len(port.limits) == 1_000
    assert port.asks(PROXY, ONE, PENALTY_SECONDS) is not None
    assert len(port.limits) == 1


# ---- all addresses together


def test_of_all_slots_together_the_oldest_goes() -> None:
    port = Port()
    for n in range(IN_ALL + 2):
        assert port.asks(PROXY, f"198.51.{n // 250}.{n % 250}") is not None
    assert port.ended == [0, 1]
    assert len(port.limits) == IN_ALL


def test_bodies_of_slots_have_a_limit_together_and_the_oldest_goes() -> None:
    port = Port()
    fitting = BODIES_IN_ALL // BODY_AT_MOST
    slots = [port.asks(PROXY, f"198.51.100.{n}") for n in range(fitting)]
    for slot in slots:
        assert slot is not None
        slot.takes(BODY_AT_MOST - 1)
        slot.takes(1_000_000)  # of what is too much, nothing is kept
    assert port.ended == []
    late = port.asks(PROXY, ONE)
    assert late is not None
    late.takes(1)
    assert port.ended == [0]


@pytest.mark.parametrize("end", [Slot.leave, Slot.has_signed_in, Slot.waits])
def test_a_body_that_is_done_weighs_nothing(end: Callable[[Slot], None]) -> None:
    port = Port()
    for n in range(2 * BODIES_IN_ALL // BODY_AT_MOST):
        address = f"198.51.{n // 250}.{n % 250}"
        slot = port.asks(address, address)
        assert slot is not None
        slot.takes(BODY_AT_MOST)
        end(slot)
        slot.takes(BODY_AT_MOST)  # of who has signed in, or has not asked yet: counted elsewhere
    assert port.ended == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["connects", "asks", "kept", "signs in", "answered", "ends", "wrong", "goes on", "body"]),
        st.integers(0, 3),
        st.sampled_from([PROXY, ONE, OTHER]),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_all_places_are_free_when_all_have_ended(steps: list[tuple[str, int, str]]) -> None:
    port, open_ones = Port(), []
    for now, (step, which, address) in enumerate(steps):
        if step == "connects" or not open_ones:
            open_ones.append(port.connects(address))
            continue
        slot = open_ones[which % len(open_ones)]
        match step:
            case "asks":
                slot.comes_from(address, now)
            case "kept":
                slot.is_kept_back()
            case "signs in":
                slot.has_signed_in()
            case "answered":
                slot.waits()
            case "ends":
                slot.leave()
            case "goes on":
                slot.penalise(now)
            case "wrong":
                slot.penalise(now)
                slot.leave()
            case _:
                slot.takes(1_000)
    for slot in open_ones:
        slot.leave()
    last = port.asks(PROXY, "203.0.113.1", len(steps) + PENALTY_SECONDS)
    assert last is not None
    last.leave()
    assert len(port.limits) == 0
    assert port.limits._body_bytes == 0


def test_whom_a_proxy_connects_for_is_counted_as_if_they_had_connected() -> None:
    port = Port()
    for _ in range(PER_ADDRESS):
        port.connects(PROXY).is_of(ONE)
    assert port.ended == []
    port.connects(PROXY).is_of(OTHER)
    assert port.ended == []
    port.connects(PROXY).is_of(ONE)
    assert port.ended == [0], "it waits for longest"


def test_who_is_named_by_a_proxy_and_signs_in_stays_signed_in() -> None:
    port = Port()
    slot = port.connects(PROXY)
    slot.is_of(ONE)
    assert slot.comes_from(ONE, 0.0)
    slot.has_signed_in()
    slot.waits()
    assert len(port.limits) == 0, "its connection is not shared with others"


def test_what_a_proxy_says_too_late_changes_nothing() -> None:
    port = Port()
    slot = port.connects(PROXY)
    slot.leave()
    slot.is_of(ONE)
    assert len(port.limits) == 0


def test_as_long_as_few_are_there_no_address_has_too_many() -> None:
    port = Port()
    assert not port.limits.are_many()
    wrong = port.fill(ONE, ONE)[0]
    wrong.penalise(0.0)
    wrong.leave()
    assert port.limits.are_many()


@pytest.mark.parametrize(("most", "expected"), [(1 << 30, 1_000), (1_600, 100), (10, 50)])
def test_the_line_before_a_port_is_a_part_of_the_files_that_may_be_open(most: int, expected: int) -> None:
    assert in_line(most) == expected
