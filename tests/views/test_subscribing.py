"""What the page of a channel offers to phones and browsers, to subscribe to what it sends."""

import re

import pytest

from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.ntfy.kind import new_topic, subscription
from rmactors.server.channels.registry import KINDS
from rmactors.server.channels.validation import validate
from rmactors.server.web.views import qr
from rmactors.server.web.views.channels import new_form
from rmactors.server.web.views.subscribing import subscribing

NTFY = KINDS["ntfy"]


@pytest.mark.parametrize(
    ("server", "scanned", "opened"),
    [
        ("https://ntfy.sh", "ntfy://ntfy.sh/t", "https://ntfy.sh/t"),
        ("https://ntfy.example.org:8443/", "ntfy://ntfy.example.org:8443/t", "https://ntfy.example.org:8443/t"),
        ("http://nas.lan:8080", "ntfy://nas.lan:8080/t?secure=false", "http://nas.lan:8080/t"),
        ("https://müller.example", "ntfy://xn--mller-kva.example/t", "https://xn--mller-kva.example/t"),
        ("https://example.org/ntfy/", "https://example.org/ntfy/t", "https://example.org/ntfy/t"),  # no link has a path
    ],
)
def test_the_app_has_a_link_of_its_own_where_it_can_say_where(server: str, scanned: str, opened: str) -> None:
    assert subscription({"server_url": server, "topic": "t"}) == (scanned, opened)


def test_the_page_shows_the_code_of_that_link() -> None:
    found = subscribing(NTFY, {"server_url": "https://ntfy.sh", "topic": "backups"})
    assert found is not None
    assert found.link == "https://ntfy.sh/backups"
    assert found.picture == qr.svg("ntfy://ntfy.sh/backups", "QR code to subscribe")


def test_a_link_that_is_too_long_for_a_code_is_a_link() -> None:
    found = subscribing(NTFY, {"server_url": "https://ntfy.sh/" + "x" * 2400, "topic": "t"})
    assert found is not None
    assert found.picture == ""


def test_nobody_subscribes_to_a_webhook() -> None:
    assert subscribing(KINDS["webhook"], {"url": "https://hooks.example.org/"}) is None


def test_a_new_channel_has_a_topic_that_nobody_guesses() -> None:
    topics = {next(each.value for each in new_form(NTFY).fields if each.name == "config.topic") for _ in range(100)}
    assert len(topics) == 100
    assert all(re.fullmatch(r"backups-[A-Za-z0-9_-]{16}", topic) for topic in topics)
    assert validate("ntfy", "phone", {"topic": new_topic()}, OutboundPolicy.parse("external")) == []
