"""What others make of our webhooks: the library of Standard Webhooks, and adnanh/webhook as Debian ships it."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from harness.ports import free_port
from harness.processes import PLAIN, STARTS_WITHIN, eventually
from harness.tools import receiver, running
from rmactors.common import clock
from rmactors.server.channels.base import Channel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from tests.channels.notifications import RAISE, RESOLUTION, spec
from tests.channels.receivers import receiving

LOOPBACK = OutboundPolicy.parse("loopback")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OWN_BODY = '{"text": {{ (title) | tojson }}, "more": {{ message | tojson }}}'


def channel(url: str, trust: ssl.SSLContext, **config: str) -> Channel:
    return make_channel(spec("webhook", url=url, **config), LOOPBACK, trust, "https://rm.example.org", clock.now)


@pytest.mark.parametrize("more", [{}, {"body_template": OWN_BODY, "content_type": "application/json"}])
async def test_standard_webhooks_verifies_what_is_signed_and_nothing_else(
    system_trust: ssl.SSLContext, more: dict[str, str]
) -> None:
    async with receiving() as there:
        hook = channel(there.url(), system_trust, signing_secret=SECRET, **more)
        assert (await hook.send(RAISE)).verdict == "delivered"
        await hook.aclose()
    [request] = there.requests
    headers = {name: request.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    assert Webhook(SECRET).verify(request.body, headers) == json.loads(request.body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", headers)


@dataclass(frozen=True)
class Hooks:
    """One hook that takes what has the right header, and writes down what it was given."""

    url: str
    taken: Path

    def told(self) -> list[str]:
        return self.taken.read_text().splitlines() if self.taken.exists() else []


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    program, port, taken = receiver("webhook", "webhook"), free_port(), tmp_path / "taken"
    script = tmp_path / "take"
    script.write_text(f'#!/bin/sh\necho "$1" >>{taken}\n')
    script.chmod(0o755)
    payload = [{"source": "payload", "name": "event"}]
    right: dict[str, Any] = {
        "type": "value", "value": "open sesame", "parameter": {"source": "header", "name": "X-Token"},
    }  # fmt: skip
    (tmp_path / "hooks.json").write_text(
        json.dumps([{
            "id": "backups", "execute-command": str(script), "pass-arguments-to-command": payload,
            "include-command-output-in-response": True, "trigger-rule": {"match": right},
            "trigger-rule-mismatch-http-response-code": 403,
        }])
    )  # fmt: skip
    arguments = ["-hooks", str(tmp_path / "hooks.json"), "-ip", "127.0.0.1", "-port", str(port)]
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return httpx.get(url, verify=PLAIN, trust_env=False, timeout=STARTS_WITHIN).status_code < 500
        except httpx.TransportError:
            return False

    with running([program, *arguments], tmp_path) as log:
        eventually(is_up, STARTS_WITHIN, lambda: log.read_text()[-2000:])
        yield Hooks(f"{url}/hooks/backups", taken)


async def test_adnanh_webhook_runs_its_command_with_what_a_field_says(
    hooks: Hooks, system_trust: ssl.SSLContext
) -> None:
    hook = channel(hooks.url, system_trust, header_name="X-Token", header_value="open sesame")
    for notification in (RAISE, RESOLUTION):
        attempt = await hook.send(notification)
        assert (attempt.verdict, attempt.status_code) == ("delivered", 200)
    await hook.aclose()
    assert hooks.told() == ["alert.raised", "alert.resolved"]


async def test_adnanh_webhook_says_what_is_wrong_where_its_hook_names_a_status_for_that(
    hooks: Hooks, system_trust: ssl.SSLContext
) -> None:
    hook = channel(hooks.url, system_trust, header_name="X-Token", header_value="wrong")
    attempt = await hook.send(RAISE)
    await hook.aclose()
    assert (attempt.verdict, attempt.status_code) == ("dead", 403)
    assert "Hook rules were not satisfied" in (attempt.error or "")
    assert hooks.told() == []
