"""What this server calls itself towards mail servers."""

import threading

import pytest

from rmactors.server.channels.config import secrets_led_elsewhere
from rmactors.server.channels.mail import helo
from rmactors.server.channels.mail.kind import KIND as MAIL
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.validation import validate


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("rm.example.org", True), ("RM.Example.ORG", True), ("a.b", True), ("xn--mller-kva.example", True),
        ("nas.local", True), ("1.example", True), ("a" * 63 + ".example", True),
        ("nas", False), ("localhost", False), ("rm_server", False), ("rm_server.example.org", False),
        ("localhost.localdomain", False), ("nas.localhost", False), ("1.0.0.127.in-addr.arpa", False),
        ("192.168.1.5", False), ("::1", False), ("[192.0.2.1]", False), ("", False), (".", False), ("a..b", False),
        ("-a.example", False), ("a-.example", False), ("rm.example.org.", False), ("rm.example.org\n", False),
        ("a" * 64 + ".example", False), ("a." * 127 + "example", False), ("müller.example", False),
    ],
)  # fmt: skip
def test_a_full_name_has_a_dot_and_no_sign_that_a_host_name_cannot_have(name: str, full: bool) -> None:
    assert helo.is_full_name(name) == full


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("rm.example.org", "rm.example.org"), (" rm.example.org. ", "rm.example.org"),
        ("rm.müller.example", "rm.xn--mller-kva.example"), ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]"), ("[2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)  # fmt: skip
def test_what_an_operator_may_set(given: str, found: str) -> None:
    assert helo.checked(given) == found


@pytest.mark.parametrize(
    "given",
    [
        "nas",
        "rm_server",
        "localhost",
        "192.0.2.1",
        "[nas]",
        "[]",
        "[192.0.2.1",
        "a b.example",
        "ä",
        "rm.example.org EVIL",
    ],
)
def test_what_mail_servers_would_refuse_is_refused_at_once(given: str) -> None:
    with pytest.raises(ValueError, match=r"such as \[192\.0\.2\.1\]") as caught:
        helo.checked(given)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(("given", "wrong"), [("mail.example.org", []), ("", []), ("nas", ["/config/helo_name"])])
def test_it_is_a_setting_of_the_channel(given: str, wrong: list[str]) -> None:
    config = {"host": "mail.example.org", "port": 587, "from": "a@b.example", "to": "c@d.example", "helo_name": given}
    assert [error.pointer for error in validate("smtp", "ops", config, OutboundPolicy.parse("external"))] == wrong


def test_changing_it_keeps_the_password() -> None:
    old = {"host": "mail.example.org", "port": 587, "password": "hunter2"}
    assert secrets_led_elsewhere(MAIL, old, {**old, "password": {"set": True}, "helo_name": "rm.example.org"}) == []


@pytest.mark.parametrize(
    ("address", "found"),
    [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("fe80::1%eth0", "[IPv6:fe80::1]")],
)
def test_an_address_as_smtp_writes_it(address: str, found: str) -> None:
    assert helo.literal(address) == found


def test_a_name_server_that_hangs_holds_up_nobody_else() -> None:
    hangs = threading.Event()

    def look_up() -> str:
        assert hangs.wait(30)
        return "nas.example.org"

    thread, found = helo.asked(look_up)
    assert found == []
    hangs.set()
    thread.join(30)
    assert found == ["nas.example.org"]


def test_the_machines_own_name_is_a_full_one_or_none() -> None:
    name = helo.machine_name()
    assert name is None or helo.is_full_name(name)
