"""How secrets in a config are shown, kept and cleared, and what a preview shows."""

from dataclasses import replace
from typing import Any

import pytest

from rmactors.server.channels.answers import words
from rmactors.server.channels.base import ChannelSpec, Field
from rmactors.server.channels.config import (
    audited_changes,
    audited_destination,
    masked,
    merge_secrets,
    normalized,
    secret_values,
    secrets_led_elsewhere,
    with_secrets_hidden,
)
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


FIELDS = (
    Field("hook", "Hook", input="password", audit="host"),
    Field("key", "Key", input="password"),
    Field("room", "Room", steers=False),
)
SECRET_URL = replace(KINDS["webhook"], fields=FIELDS)
"""A kind whose URL is secret, with another secret beside it."""
HOOK = {"hook": "https://hooks.example:8443/services/T0AA/t0k3n-of-the-hook?sig=ab%2Bcd-ef-gh", "key": "hunter2"}


def test_of_a_secret_url_the_host_is_left_where_secrets_are_hidden() -> None:
    assert masked(SECRET_URL, HOOK) == {"hook": {"set": True}, "key": {"set": True}}
    assert with_secrets_hidden(SECRET_URL, HOOK) == {"hook": "https://hooks.example:8443/••••", "key": "••••"}
    assert with_secrets_hidden(SECRET_URL, {"hook": {"set": True}, "key": ""}) == {"hook": "••••", "key": ""}


def test_a_secret_url_that_changes_takes_no_other_secret_along_and_one_that_stays_does() -> None:
    """However it is said that it stays."""
    errors = secrets_led_elsewhere(SECRET_URL, HOOK, {"hook": "https://evil.example/"})
    assert [error.pointer for error in errors] == ["/config/key"]
    for same in ({}, {"hook": {"set": True}}, {"hook": HOOK["hook"]}):
        assert secrets_led_elsewhere(SECRET_URL, HOOK, {**same, "room": "other"}) == []


def test_a_change_of_a_secret_url_is_audited_by_its_hosts() -> None:
    moved = {**HOOK, "hook": "https://other.example/services/another"}
    renewed = {**HOOK, "hook": "https://hooks.example:8443/services/another", "key": "hunter3"}
    assert audited_destination(SECRET_URL, HOOK) == "hooks.example:8443"
    assert audited_changes(SECRET_URL, HOOK, moved) == ["hook hooks.example:8443 → other.example"]
    assert audited_changes(SECRET_URL, HOOK, renewed) == ["hook replaced", "key replaced"]


def test_what_a_receiver_repeats_of_a_secret_url_is_hidden_in_every_spelling() -> None:
    found = secret_values(FIELDS, HOOK)
    for said in (HOOK["hook"], "/services/T0AA/t0k3n-of-the-hook", "t0k3n-of-the-hook", "ab%2Bcd-ef-gh", "ab+cd-ef-gh"):
        assert not set(said.split("/")) & set(words(said, found).split("/")) & {"t0k3n-of-the-hook", "ab+cd-ef-gh"}
        assert "••••" in words(said, found)
    assert words("services of hooks.example", found) == "services of hooks.example"
    assert secret_values(FIELDS, {"hook": {"set": True}, "key": None}) == ()


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
