"""Whatever the rules let pass can be shown and sent: an attempt has an end, never an exception."""

from contextlib import suppress
from dataclasses import replace
from email import message_from_bytes, policy
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.server.channels.config import normalized
from rmactors.server.channels.mail import payload
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.tls import shared_ssl_context
from rmactors.server.channels.registry import KINDS, make_channel, preview
from rmactors.server.channels.validation import validate
from rmactors.server.channels.webhook.own_body import own_body
from rmactors.server.channels.webhook.template import MAX_OUTPUT, TemplateFault
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.receivers import answers_as_ntfy, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")
BASE = "https://rm.example.org"
TRUST = shared_ssl_context()

odd = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [" ", "\t", "\u00a0", "\u2028", " a", "a ", "=?utf-8?q?x?=", "whsec_eA==", "ü", "\x7f", "\x85", "a\tb", '"', "<>"]
)  # fmt: skip
notifications = st.builds(
    lambda notification, host, message, note: replace(notification, host_name=host, message=message, note=note),
    st.sampled_from([RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, GROUP]), odd, odd, odd,
)  # fmt: skip


def tamed(kind: str, config: dict[str, Any], good: dict[str, Any]) -> dict[str, Any]:
    """The config with what the rules refuse replaced by something good, or left out."""
    for field in (each.name for each in KINDS[kind].fields):
        if f"/config/{field}" in {error.pointer for error in validate(kind, "ops", config, LOOPBACK)}:
            config[field] = good.get(field, "")
    assert validate(kind, "ops", config, LOOPBACK) == []
    return normalized(KINDS[kind], config)


def sent(kind: str, config: dict[str, Any], good: dict[str, str], notification: Notification) -> Attempt:
    """How one attempt at a real receiver ends. `{here}` in `good` is its address."""

    async def main() -> Attempt:
        async with receiving(answers_as_ntfy if kind == "ntfy" else replies("200 OK")) as receiver:
            there = {name: value.format(here=receiver.url("")) for name, value in good.items()}
            given = {name: value.replace("{here}", receiver.url("")) for name, value in config.items()}
            made = spec(kind, **tamed(kind, given, there))
            assert preview(made, notification, BASE).request is not None
            channel = make_channel(made, LOOPBACK, TRUST, BASE)
            attempt = await channel.send(notification)
            await channel.aclose()
            return attempt

    return trio.run(main)


@settings(max_examples=150, deadline=None)
@given(path=odd, bearer=odd, header=odd, value=odd, signing=odd, notification=notifications)
def test_a_webhook(path: str, bearer: str, header: str, value: str, signing: str, notification: Notification) -> None:
    config = {"url": "{here}/" + path, "bearer_token": bearer, "header_name": header, "header_value": value,
              "signing_secret": signing}  # fmt: skip
    attempt = sent("webhook", config, {"url": "{here}/hook"}, notification)
    assert (attempt.verdict, attempt.status_code) == ("delivered", 200), attempt.error


@settings(max_examples=100, deadline=None)
@given(path=odd, topic=odd, token=odd, notification=notifications)
def test_an_ntfy_topic(path: str, topic: str, token: str, notification: Notification) -> None:
    config = {"server_url": "{here}/" + path, "topic": topic, "access_token": token}
    attempt = sent("ntfy", config, {"server_url": "{here}", "topic": "backups"}, notification)
    assert (attempt.verdict, attempt.status_code) == ("delivered", 200), attempt.error


CHATS: dict[str, dict[str, str]] = {
    "slack": {"webhook_url": "{here}/services/x"},
    "discord": {"webhook_url": "{here}/api/webhooks/1/x"},
    "teams": {"webhook_url": "{here}/workflows/x?sig=y"},
    "telegram": {"chat_id": "-100", "bot_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "api_url": "{here}"},
}


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(CHATS)),
    values=st.lists(odd, min_size=4, max_size=4),
    path=odd,
    notification=notifications,
)
def test_a_chat(kind: str, values: list[str], path: str, notification: Notification) -> None:
    """None of them answers so; what matters is that each is asked, and that the attempt has an end."""
    good = CHATS[kind]
    names = [each.name for each in KINDS[kind].fields if each.input != "number"]
    config = dict(zip(names, values, strict=False)) | {
        name: f"{text}/{path}" for name, text in good.items() if name.endswith("url")
    }
    attempt = sent(kind, config, good, notification)
    assert attempt.status_code == 200
    assert attempt.verdict == ("delivered" if kind in ("discord", "teams") else "dead"), attempt.error


@settings(max_examples=150, deadline=None)
@given(name=odd, local=odd, domain=odd, username=odd, password=odd, notification=notifications)
def test_a_mail(name: str, local: str, domain: str, username: str, password: str, notification: Notification) -> None:
    good = {"from": "rm@example.org", "to": "a@example.org"}
    config = {"host": "localhost", "port": 25, "username": username, "password": password,
              "from": f"{name} <{local}@example.org>", "to": f"{local}@{domain}, a@example.org"}  # fmt: skip
    kept = tamed("smtp", config, good)
    mail = payload.render(notification, spec("smtp", **kept), BASE)
    found = message_from_bytes(mail.content, policy=policy.default)
    assert found["Message-ID"].count("@") == 1
    assert set(found.keys()) <= {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "MIME-Version",
        "Content-Type", "X-Auto-Response-Suppress", "List-Id", "X-Restic-Manager-Event", "X-Restic-Manager-Severity",
        "X-Restic-Manager-Kind", "X-Restic-Manager-Host", "X-Restic-Manager-Alert",
    }  # fmt: skip
    assert preview(spec("smtp", **kept), notification, BASE).mail
    make_channel(spec("smtp", **kept), LOOPBACK, TRUST, BASE)


TEXT = [
    "{{ title }}",
    "{{ message }}",
    "x",
    '"',
    "\n",
    "{{ group | tojson }}",
    "{{ note | truncate(3) }}",
    "{{ nope }}",
]
PARTS = [
    *TEXT, "{% for each in group %}", "{{ each.message | upper }}", "{{ loop.index }}", "{% endfor %}", "{{ group }}",
    '{% if event == "alert.resolved" %}', "{% else %}", "{% endif %}", "{% set note = note ~ message %}", "{{", "}}",
    "{% set title = title ~ title %}", "{{ message | replace(title, message) }}", "{{ [group, group] | tojson }}",
    "{{ message | escape | urlencode }}", "{{ group[0].message[:2] }}", "{% raw %}", "{#", "{{ kind if note }}",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(template=st.lists(st.sampled_from(PARTS), max_size=9).map("".join), notification=notifications)
def test_a_body_template(template: str, notification: Notification) -> None:
    """It is refused with a sentence, or makes a body of whatever comes, or says why it does not."""
    config = {"url": "https://hooks.example", "body_template": template or "x", "content_type": "text/plain"}
    errors = validate("webhook", "ops", config, OutboundPolicy.parse("external"))
    if errors:
        assert all(error.pointer == "/config/body_template" and error.detail.endswith(".") for error in errors)
        return
    with suppress(TemplateFault):  # which has its sentences in tests of its own
        assert len(own_body(template, notification).decode()) <= MAX_OUTPUT
