"""Each rule about a channel's fields, and where its error stands."""

from typing import Any

import pytest

from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import KINDS
from rmactors.server.channels.validation import validate
from rmactors.server.channels.webpush.keys import own_key, public_text

POLICY = OutboundPolicy.parse("external,private")
WEBHOOK: dict[str, Any] = {"url": "https://hooks.example/ops"}
NTFY: dict[str, Any] = {"topic": "backups"}
SMTP: dict[str, Any] = {"host": "mail.example.org", "port": 587, "from": "ops@example.org", "to": "maria@example.org"}
SLACK: dict[str, Any] = {"webhook_url": "https://hooks.slack.com/services/T0/B0/x"}
DISCORD: dict[str, Any] = {"webhook_url": "https://discord.com/api/webhooks/1/x"}
TEAMS: dict[str, Any] = {"webhook_url": "https://ab.api.powerplatform.com/powerautomate/x?sig=y"}
TELEGRAM: dict[str, Any] = {"chat_id": "@my_backups", "bot_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"}
MATRIX: dict[str, Any] = {"homeserver_url": "https://matrix.example.org", "room_id": "!abc", "access_token": "syt_1"}
WEBPUSH: dict[str, Any] = {
    "endpoint": "https://push.example.org/x", "p256dh": public_text(own_key(b"browser")), "auth": "A" * 22,
    "vapid_key": own_key(b"server"),
}  # fmt: skip
GOTIFY: dict[str, Any] = {"server_url": "https://push.example.org", "app_token": "A1"}
PUSHOVER: dict[str, Any] = {"app_token": "a" * 30, "user_key": "u" * 30}
PAGERDUTY: dict[str, Any] = {"routing_key": "0123456789abcdef" * 2}
ALERTMANAGER: dict[str, Any] = {"url": "http://alerts.example.org:9093"}
GOOD = {
    "webhook": WEBHOOK, "ntfy": NTFY, "smtp": SMTP, "slack": SLACK, "discord": DISCORD, "teams": TEAMS,
    "telegram": TELEGRAM, "matrix": MATRIX, "gotify": GOTIFY, "pushover": PUSHOVER, "pagerduty": PAGERDUTY,
    "alertmanager": ALERTMANAGER, "webpush": WEBPUSH,
}  # fmt: skip


def pointers(kind: object, config: object, name: object = "ops", allow: str = "external,private") -> list[str]:
    return [error.pointer for error in validate(kind, name, config, OutboundPolicy.parse(allow))]


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_config_of_each_kind_is_good(kind: str) -> None:
    assert pointers(kind, GOOD[kind]) == []


def test_everything_set_is_good() -> None:
    assert (
        pointers(
            "webhook",
            {
                "url": "http://hooks.münchen.example:8080/ä?x=1", "bearer_token": "abc", "header_name": "X-Key",
                "header_value": "wörd \t x", "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            },
        )
        == []
    )  # fmt: skip
    assert pointers("ntfy", {"server_url": "https://ntfy.example/", "topic": "a-b_C9", "access_token": "tk_1"}) == []
    assert (
        pointers(
            "smtp",
            {
                "host": "[2001:4860::25]", "port": 1, "encryption": "none", "username": "ü", "password": "ß",
                "from": "Jörg <j@müller.example>", "to": 'a@b.example, "x, y" <ü@b.example>',
            },
        )
        == []
    )  # fmt: skip


@pytest.mark.parametrize("value", [None, ""])
def test_optional_fields_may_be_null_or_empty(value: object) -> None:
    empty = dict.fromkeys(("bearer_token", "header_name", "header_value", "signing_secret"), value)
    assert pointers("webhook", {**WEBHOOK, **empty}) == []
    assert pointers("ntfy", {**NTFY, "server_url": value, "access_token": value}) == []
    assert pointers("smtp", {**SMTP, "encryption": value, "username": value, "password": value}) == []


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("", False), ("   ", False), ("x", True), ("ü" * 100, True), ("x" * 101, False), (7, False), (None, False),
        ("a\nb", False), ("a\0b", False), ("a\ud800", False),
    ],
)  # fmt: skip
def test_a_name_has_1_to_100_characters_on_one_line(name: object, good: bool) -> None:
    assert pointers("ntfy", NTFY, name) == ([] if good else ["/name"])


@pytest.mark.parametrize("kind", ["", "fax", "Slack", None, 3, ["ntfy"]])
def test_the_kind_is_one_that_there_is(kind: object) -> None:
    assert pointers(kind, {}) == ["/kind"]


@pytest.mark.parametrize("config", [None, [], "x", 3])
def test_the_config_is_an_object(config: object) -> None:
    assert pointers("webhook", config) == ["/config"]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("webhook", ["url"]), ("ntfy", ["topic"]), ("smtp", ["host", "port", "from", "to"])],
)
def test_every_missing_field_is_named(kind: str, missing: list[str]) -> None:
    assert pointers(kind, {}) == [f"/config/{field}" for field in missing]


def test_unknown_settings_are_errors_at_their_own_place() -> None:
    assert pointers("ntfy", {**NTFY, "url": "x", "a/b~c": 1}) == ["/config/url", "/config/a~1b~0c"]


@pytest.mark.parametrize(
    "url",
    ["htps://x.example", "ftp://x.example", "x.example", "//x.example", "http://", "https:///path", "http://x.example:0/",
     "http://x.example:70000/", "http://x.example:abc/", "http://a b/", "http://[::1", "http://-x.example/", "http://x..y/",
     "http://user:pass@x.example/", "javascript:alert(1)"],
)  # fmt: skip
def test_a_webhook_url_parses_and_is_http_or_https(url: str) -> None:
    assert pointers("webhook", {"url": url}) == ["/config/url"]
    assert pointers("ntfy", {**NTFY, "server_url": url}) == ["/config/server_url"]


def test_the_scheme_is_named_in_the_error() -> None:
    [error] = validate("webhook", "ops", {"url": "htps://hooks.example/ops"}, POLICY)
    assert error.detail == "The scheme must be http or https."


@pytest.mark.parametrize("url", ["https://ntfy.example/?a=b", "https://ntfy.example/#x"])
def test_an_ntfy_server_is_only_an_address(url: str) -> None:
    assert pointers("ntfy", {**NTFY, "server_url": url}) == ["/config/server_url"]


@pytest.mark.parametrize("topic", ["", "  ", "a/b", "a b", "ü", "x" * 65, "a?b", 5])
def test_a_topic_is_what_ntfy_takes_for_one(topic: object) -> None:
    assert pointers("ntfy", {"topic": topic}) == ["/config/topic"]


@pytest.mark.parametrize(
    "host", ["", " ", "a b", "smtp://mail.example", "mail.example:25", "-a", "a..b", "x" * 300, "*.example", 5]
)
def test_an_smtp_host_is_a_host_name(host: object) -> None:
    assert pointers("smtp", {**SMTP, "host": host}) == ["/config/host"]


@pytest.mark.parametrize("port", [0, -1, 65536, 1.5, True, "587", None])
def test_an_smtp_port_is_a_number_from_1_to_65535(port: object) -> None:
    assert pointers("smtp", {**SMTP, "port": port}) == ["/config/port"]


@pytest.mark.parametrize("encryption", ["ssl", "STARTTLS", 1])
def test_an_encryption_is_one_of_three(encryption: object) -> None:
    assert pointers("smtp", {**SMTP, "encryption": encryption}) == ["/config/encryption"]


@pytest.mark.parametrize(
    "text",
    [
        "a", "a@", "@b", "a b@c.example", "a@b.example c@d.example", "a@b.example; c@d.example", "<a@b.example",
        "a..b@c.example", "a@-b.example", "a@b..example", "team: a@b.example;", "a@b.example,", "(", '"', "x" * 9000, 5,
    ],
)  # fmt: skip
def test_from_and_to_are_mail_addresses(text: object) -> None:
    assert pointers("smtp", {**SMTP, "from": text, "to": text}) == ["/config/from", "/config/to"]


def test_a_sender_is_one_address_and_recipients_are_one_or_more() -> None:
    two = "a@b.example, C <c@d.example>"
    assert pointers("smtp", {**SMTP, "from": two, "to": two}) == ["/config/from"]


@pytest.mark.parametrize("broken", ["a\rb", "a\nb", "a\r\nb", "a\0b", "x\ud800"])
def test_no_line_break_or_nul_gets_into_anything(broken: str) -> None:
    but_for = {"number", "textarea"} if "\n" in broken or "\r" in broken else {"number"}
    for kind, described in KINDS.items():
        fields = [each.name for each in described.fields if each.input not in but_for]
        found = pointers(kind, {**GOOD[kind], **dict.fromkeys(fields, broken)})
        assert sorted(found) == sorted(f"/config/{field}" for field in fields)


@pytest.mark.parametrize("field", ["bearer_token", "header_value"])
@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0"])
def test_what_becomes_a_header_is_not_blank(field: str, blank: str) -> None:
    assert pointers("webhook", {"url": "https://hooks.example.org", field: blank}) == [f"/config/{field}"]


@pytest.mark.parametrize(
    "name", ["X Key", "X:Key", "Ключ", "Host", "content-length", "Transfer-Encoding", "Idempotency-Key", "webhook-id"]
)
def test_a_header_name_is_a_token_and_none_of_ours(name: str) -> None:
    assert pointers("webhook", {**WEBHOOK, "header_name": name, "header_value": "x"}) == ["/config/header_name"]


def test_authorization_is_said_once() -> None:
    config = {**WEBHOOK, "header_name": "Authorization", "header_value": "Basic eA=="}
    assert pointers("webhook", config) == []
    assert pointers("webhook", {**config, "bearer_token": "x"}) == ["/config/header_name"]


def test_a_signing_secret_with_the_prefix_is_base64() -> None:
    assert pointers("webhook", {**WEBHOOK, "signing_secret": "whsec_???"}) == ["/config/signing_secret"]
    assert pointers("webhook", {**WEBHOOK, "signing_secret": "whsec_"}) == ["/config/signing_secret"]


@pytest.mark.parametrize("secret", [{"set": True}, {"set": False}, 5, ["x"], True])
def test_a_secret_is_text(secret: object) -> None:
    assert pointers("webhook", {**WEBHOOK, "bearer_token": secret}) == ["/config/bearer_token"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "[::1]", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"]
)
def test_a_literal_address_that_the_setting_forbids_is_refused(host: str) -> None:
    assert pointers("webhook", {"url": f"http://{host}/x"}) == ["/config/url"]
    assert pointers("ntfy", {**NTFY, "server_url": f"http://{host}"}) == ["/config/server_url"]
    assert pointers("smtp", {**SMTP, "host": host}) == ["/config/host"]


def test_an_allowed_literal_and_any_name_are_taken() -> None:
    assert pointers("webhook", {"url": "http://127.0.0.1:9/x"}, allow="loopback") == []
    assert pointers("webhook", {"url": "http://192.168.1.5/x"}) == []
    assert pointers("webhook", {"url": "http://localhost/x"}, allow="external") == []  # judged when connected to


def test_all_fields_are_judged_at_once() -> None:
    assert pointers("smtp", {"host": "", "port": 0, "encryption": "x", "from": "x", "to": "", "y": 1}, name="") == [
        "/name", "/config/y", "/config/host", "/config/port", "/config/encryption", "/config/from", "/config/to",
    ]  # fmt: skip
