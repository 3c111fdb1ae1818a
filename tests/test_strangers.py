"""Connections that have not signed in, counted by address."""

from rmactors.addresses import parse_networks
from rmactors.strangers import PENALTY_SECONDS, PER_ADDRESS, PER_PROXY, Stranger, Strangers


def fill(strangers: Strangers, address: str, now: float = 0.0) -> list[Stranger]:
    """As many as are let in."""
    let_in = []
    while (stranger := strangers.admit(address, now)) is not None:
        let_in.append(stranger)
    return let_in


def test_an_address_has_so_many_and_another_one_has_its_own() -> None:
    strangers = Strangers()
    assert len(fill(strangers, "192.0.2.1")) == PER_ADDRESS
    assert strangers.admit("192.0.2.2", 0.0) is not None


def test_who_signed_in_or_left_makes_room_once() -> None:
    strangers = Strangers()
    first, *_ = fill(strangers, "192.0.2.1")
    first.leave()
    first.leave()
    assert len(fill(strangers, "192.0.2.1")) == 1


def test_an_ipv6_customer_is_one_address_and_mapped_ipv4_is_ipv4() -> None:
    strangers = Strangers()
    fill(strangers, "2001:db8::1")
    assert strangers.admit("2001:db8::ffff", 0.0) is None
    assert strangers.admit("2001:db8:0:1::1", 0.0) is not None
    fill(strangers, "192.0.2.1")
    assert strangers.admit("::ffff:192.0.2.1", 0.0) is None


def test_a_trusted_proxy_stands_for_many() -> None:
    strangers = Strangers(parse_networks("10.0.0.0/8, ::1"))
    assert len(fill(strangers, "10.1.2.3")) == PER_PROXY
    assert len(fill(strangers, "192.0.2.1")) == PER_ADDRESS


def test_a_wrong_credential_keeps_its_place_for_a_while() -> None:
    strangers = Strangers()
    for stranger in fill(strangers, "192.0.2.1", now=100.0):
        stranger.leave_late(100.0)
        stranger.leave()
    assert strangers.admit("192.0.2.1", 100.0 + PENALTY_SECONDS - 0.1) is None
    assert len(fill(strangers, "192.0.2.1", 100.0 + PENALTY_SECONDS)) == PER_ADDRESS


def test_nothing_is_kept_of_who_has_left() -> None:
    strangers = Strangers()
    for n in range(1000):
        stranger = strangers.admit(f"192.0.{n // 250}.{n % 250}", 0.0)
        assert stranger is not None
        stranger.leave() if n % 2 else stranger.leave_late(0.0)
    assert strangers.admit("198.51.100.1", PENALTY_SECONDS) is not None
    assert len(strangers) == 1
