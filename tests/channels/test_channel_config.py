"""How secrets in a config are shown, kept and cleared, and what a preview shows."""

from typing import Any

import pytest

from rmactors.server.channels.base import ChannelSpec
from rmactors.server.channels.config import masked, merge_secrets, normalized
from rmactors.server.channels.registry import KINDS, preview
from tests.channels.notifications import ALERT, DELIVERY, RAISE, RESOLUTION, spec

STORED = {"url": "https://x.example", "bearer_token": "s3cret", "header_name": "X-Key", "header_value": "hunter2"}


def test_secrets_read_as_set_and_nothing_else_of_them() -> None:
    assert masked(KINDS["webhook"], {**STORED, "signing_secret": ""}) == {
        "url": "https://x.example",
        "bearer_token": {"set": True},
        "header_name": "X-Key",
        "header_value": {"set": True},
    }


@pytest.mark.parametrize(
    ("given", "token"),
    [
        ({}, "s3cret"),  # omitted: stays
        ({"bearer_token": {"set": True}}, "s3cret"),  # as it was read: stays
        ({"bearer_token": None}, None),  # null: cleared
        ({"bearer_token": "new"}, "new"),
    ],
)
def test_a_secret_stays_changes_or_goes(given: dict[str, Any], token: str | None) -> None:
    merged = merge_secrets(KINDS["webhook"], STORED, {"url": "https://y.example", **given})
    assert merged.get("bearer_token") == token
    assert merged["url"] == "https://y.example"
    assert merged["header_value"] == "hunter2"
    assert "header_name" not in merged, "what is no secret is replaced"


def test_set_means_nothing_where_nothing_is_stored() -> None:
    """So validation sees it and says that a secret must be text."""
    assert merge_secrets(KINDS["webhook"], {}, {"bearer_token": {"set": True}}) == {"bearer_token": {"set": True}}


def test_merging_changes_neither_config() -> None:
    new = {"url": "https://y.example", "bearer_token": None}
    merge_secrets(KINDS["webhook"], STORED, new)
    assert new == {"url": "https://y.example", "bearer_token": None}
    assert STORED["bearer_token"] == "s3cret"


def test_a_config_is_stored_with_its_defaults_and_without_what_is_empty() -> None:
    assert normalized(KINDS["ntfy"], {"topic": "t", "access_token": None}) == {
        "server_url": "https://ntfy.sh",
        "topic": "t",
    }
    smtp = normalized(KINDS["smtp"], {"host": "m", "port": 25, "from": "a@b", "to": "c@d", "username": ""})
    assert smtp == {"host": "m", "port": 25, "encryption": "starttls", "from": "a@b", "to": "c@d"}


def test_a_specs_repr_holds_no_config() -> None:
    assert "s3cret" not in repr(ChannelSpec("id", "webhook", "ops", STORED, None))


def test_the_preview_of_a_webhook_is_the_request_with_secrets_masked() -> None:
    found = preview(spec("webhook", **STORED, signing_secret="whsec_c2VjcmV0"), RAISE, "https://rm.example.org")
    assert found.mail is None
    assert found.request is not None
    assert found.request["method"] == "POST"
    assert found.request["url"] == "https://x.example/"
    headers = found.request["headers"]
    assert headers["Host"] == "x.example"
    assert headers["Authorization"] == "Bearer ••••"
    assert headers["X-Key"] == "••••"
    assert headers["Idempotency-Key"] == DELIVERY
    assert headers["webhook-signature"] == "v1,••••"
    assert headers["Content-Length"] == str(len(found.request["body"].encode()))
    assert found.request["body"].startswith('{"event":"alert.raised","alert_id":"')


def test_the_preview_of_what_was_read_masks_what_is_set() -> None:
    found = preview(
        spec("webhook", url="https://x.example/", bearer_token={"set": True}), RAISE, "https://rm.example.org"
    )
    assert found.request is not None
    assert found.request["headers"]["Authorization"] == "Bearer ••••"


def test_the_preview_of_ntfy_needs_only_a_topic() -> None:
    found = preview(spec("ntfy", "low", topic="backups"), RAISE, "https://rm.example.org")
    assert found.request is not None
    assert found.request["url"] == "https://ntfy.sh/backups"
    assert found.request["headers"]["Priority"] == "2"
    assert found.request["body"] == RAISE.message


def test_the_preview_of_a_mail_is_the_mail() -> None:
    config = {"host": "m.example", "port": 25, "password": "hunter2", "from": "a@b.example", "to": "c@d.example"}
    found = preview(spec("smtp", **config), RESOLUTION, "https://rm.example.org")
    assert found.request is None
    assert found.mail is not None
    assert f"In-Reply-To: <{ALERT}@rm.example.org>\n" in found.mail
    assert "hunter2" not in found.mail
