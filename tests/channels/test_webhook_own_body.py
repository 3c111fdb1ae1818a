"""A webhook with a body of its own: what goes out, what is signed, and what cannot be saved."""

import json
import ssl
from dataclasses import replace
from typing import Any

import httpx
import pytest

from rmactors.server.channels.base import Preset
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.channels.validation import validate
from rmactors.server.channels.webhook import payload
from rmactors.server.channels.webhook.own_body import VARIABLES, own_body
from rmactors.server.channels.webhook.presets import PRESETS
from rmactors.server.messages.notifications import GroupMember, Notification
from tests.channels.notifications import (
    ACKNOWLEDGEMENT,
    DELIVERY,
    DIGEST,
    GROUP,
    LATER,
    OF_HOSTS,
    RAISE,
    REMINDER,
    RESOLUTION,
    spec,
)
from tests.channels.receivers import receiving

URL = httpx.URL("https://hooks.example/ops")
POLICY = OutboundPolicy.parse("external")
OVER_HOSTS = replace(OF_HOSTS, act_link="https://rm.example.org/act/x")
HOSTILE = replace(
    RAISE, host_name='nas "1" <@U1> `@all` *', message='"}, <!channel> @all @here\n```\n[x](y) & \\u0022 \x07 ```'
)


def errors(**config: Any) -> dict[str, str]:
    found = validate("webhook", "ops", {"url": str(URL), **config}, POLICY)
    return {error.pointer.removeprefix("/config/"): error.detail for error in found}


def rendered(config: dict[str, Any], notification: Any = RAISE) -> httpx.Request:
    return payload.render(notification, URL, config, LATER)


def test_without_a_template_all_is_as_it_was() -> None:
    request = rendered({})
    assert request.headers["Content-Type"] == "application/json"
    assert request.read() == payload.body(RAISE)


def test_the_templates_body_goes_out_with_its_type() -> None:
    request = rendered({"body_template": "{{ title }}: {{ message }}", "content_type": "text/plain; charset=utf-8"})
    assert request.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert request.read() == b"[warning] nas1: backup_failed: Backup of home failed: wrong password"
    assert request.headers["Content-Length"] == str(len(request.read()))


def test_what_is_signed_is_what_goes_out() -> None:
    request = rendered({"body_template": "{{ host_name }} ü", "signing_secret": "key"})
    stamp = int(request.headers["webhook-timestamp"])
    assert request.headers["webhook-signature"] == payload.sign("key", DELIVERY, stamp, "nas1 ü".encode())


@pytest.mark.parametrize("notification", [ACKNOWLEDGEMENT, RAISE, DIGEST, OVER_HOSTS], ids=lambda each: each.event)
def test_every_key_of_the_usual_body_is_a_name_in_each_event(notification: Notification) -> None:
    names = [*json.loads(payload.body(ACKNOWLEDGEMENT)), *json.loads(payload.body(OVER_HOSTS))]
    template = "{" + ", ".join(f'"{name}": {{{{ {name} | tojson }}}}' for name in names) + "}"
    found = json.loads(rendered({"body_template": template}, notification).read())
    usual = json.loads(payload.body(notification))
    usual |= {name: usual[name] or "" for name in ("actor", "note") if name in usual}
    for member in usual.get("group", []):
        member["state"] = member.get("state")
    assert found.items() >= usual.items()
    assert set(VARIABLES) == {*names, "title"}


def test_a_group_can_be_looped_over() -> None:
    template = "{% for each in group %}{{ each.severity }} {{ each.message }}\n{% endfor %}"
    assert own_body(template.replace("each.severity", "each.host_name"), GROUP).decode().startswith("nas1 Backup")
    assert own_body(template, GROUP).decode() == "warning Backup of home failed\ncritical Check found errors\n"


def test_a_group_that_is_too_large_for_a_body_is_told_with_less() -> None:
    members = tuple(GroupMember(f"a{n}", "warning", "backup_failed", f"plan:p{n}", "x" * 2000) for n in range(900))
    group = replace(GROUP, group=members, message="x" * 1_000_000)
    found = json.loads(own_body('{"m": {{ message | tojson }}, "g": {{ group | tojson }}}', group))
    assert (len(found["m"]), len(found["g"]), len(found["g"][0]["message"])) == (2000, 20, 200)


async def test_a_body_that_cannot_be_made_is_dead_and_says_why(system_trust: ssl.SSLContext) -> None:
    config = {"body_template": "{% if event == 'alert.resolved' %}\n{{ group[0].message }}{% endif %}x"}
    async with receiving() as receiver:
        made = spec("webhook", url=receiver.url(), **config)
        channel = make_channel(made, OutboundPolicy.parse("loopback"), system_trust, "https://rm.example.org")
        attempts = [await channel.send(RAISE), await channel.send(RESOLUTION)]
        await channel.aclose()
    assert [attempt.verdict for attempt in attempts] == ["delivered", "dead"]
    assert attempts[1].error is not None
    assert attempts[1].error.startswith("the body template makes no body of this: Line 2: ")
    assert [request.body for request in receiver.requests] == [b"x"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ hostname }}", "Line 1: nothing here is called hostname; there are act_link, actor, alert_id"),
        ("{\n{% if %}", "Line 2: Expected an expression"),
        ('{"text": "{{ message }}"}', "Of an alert, this makes no JSON"),  # a message with a quote in it
        ('{"by": {% if event == "alert.acknowledged" %}{{ note }}{% else %}1{% endif %}}', "Of an acknowledgement, "),
        ("{% if event == 'alert.raised' and kind == 'multiple' %}{{ group }}{% endif %}1", "Line 1: this is no text"),
        ("{% if note %}1{% endif %}", "Of an alert, this makes nothing."),
        ("x" * (16 * 1024 + 1), "at most 16384 characters"),
    ],
)
def test_a_template_that_would_fail_one_day_cannot_be_saved(template: str, said: str) -> None:
    assert said in errors(body_template=template)["body_template"]


def test_a_template_may_count_a_group_over_hosts() -> None:
    template = "{{ group_count }} {{ repository }} {{ still_open }} {{ group[0].host_name }}"
    assert own_body(template, OF_HOSTS) == b"39 rest:https://srv:8000 1 nas1"
    assert own_body("{{ group_count }}{{ repository }}{{ still_open }}", RAISE) == b"00"


def test_only_json_must_be_json() -> None:
    template = "{{ title }}"
    assert errors(body_template=template, content_type="text/plain") == {}
    assert set(errors(body_template=template, content_type="application/cloudevents+json")) == {"body_template"}


@pytest.mark.parametrize(
    "good", ["application/json", "text/plain;charset=utf-8", 'text/plain; charset="utf-8"; format=flowed', "a/b+c"]
)
def test_a_content_type_is_one(good: str) -> None:
    assert errors(content_type=good) == {}


@pytest.mark.parametrize("bad", ["json", "text/", "text/plain, text/html", "text/plain;", "ü/x", "a/b; c", "a/b\n"])
def test_what_is_no_content_type_is_refused(bad: str) -> None:
    assert set(errors(content_type=bad)) == {"content_type"}


# ---- the presets


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("notification", [RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, GROUP, HOSTILE])
def test_a_preset_can_be_saved_as_it_is_and_makes_a_body_of_everything(preset: Preset, notification: Any) -> None:
    assert errors(**preset.values) == {}
    body = rendered(dict(preset.values), notification).read().decode()
    if "json" in preset.values["content_type"]:
        assert json.loads(body)
    else:
        assert notification.link in body


def of_preset(name: str, notification: Any) -> str:
    [preset] = [each for each in PRESETS if each.name == name]
    body = own_body(preset.values["body_template"], notification).decode()
    return str(json.loads(body)["text"]) if "json" in preset.values["content_type"] else body


def test_slack_sees_no_mention_in_a_hosts_words() -> None:
    text = of_preset("slack", HOSTILE)
    assert "<" not in text.replace("&lt;", "")
    assert "&lt;!channel&gt; @all" in text


def test_mattermost_sees_a_hosts_words_in_a_code_block_that_they_cannot_end() -> None:
    text = of_preset("mattermost", HOSTILE)
    title, fence, inside, end, *_ = (text.split("\n")[0], *text.partition("\n```\n")[1:], "")
    assert "@\u200ball" in title
    assert title.count("`") == 2
    block, close, rest = inside.partition("\n```\n")
    assert (fence, close, end) == ("\n```\n", "\n```\n", "")
    assert "```" not in block
    assert rest == RAISE.link


def test_plain_text_reads_as_a_letter() -> None:
    assert of_preset("text", ACKNOWLEDGEMENT) == (
        "[warning] nas1: backup_failed (acknowledged)\n\nBackup of home failed: wrong password\n\n"
        f"By: dana: on it\n\n{RAISE.link}\n"
    )
