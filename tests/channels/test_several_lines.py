"""A field of several lines: what may be typed into it, and how the form hands it on."""

from dataclasses import replace
from typing import Any

import pytest

from rmactors.server.channels import registry
from rmactors.server.channels.base import Field, Kind
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.validation import config_errors
from rmactors.server.web.views.channels import body_of

URL = "https://hooks.example.org/"
KIND = replace(
    registry.kind_named("webhook"), fields=(Field("url", "URL"), Field("text", "Text", input="textarea", longest=20))
)


def errors(text: str) -> list[str]:
    return [error.detail for error in config_errors(KIND, {"url": URL, "text": text}, OutboundPolicy.parse(""))]


@pytest.mark.parametrize("text", ["one", "one\ntwo", "one\r\n\ttwo", "  ü  ", "x" * 20])
def test_lines_and_tabs_are_good(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\0b", "control characters"), ("\x1b[1m", "control"), ("x" * 21, "at most 20"), ("\ud800", "valid")],
)
def test_other_control_characters_and_too_much_are_not(text: str, said: str) -> None:
    [detail] = errors(text)
    assert said in detail


@pytest.mark.parametrize(
    ("typed", "kept"), [("a\r\n  b\r\n", "a\n  b\n"), (" \r\n ", None), ("  x", "  x")],
)  # fmt: skip
def test_the_form_keeps_the_lines_as_they_were_typed(typed: str, kept: str | None) -> None:
    def config(kind: Kind) -> dict[str, Any]:
        return dict(body_of(kind, {"config.url": URL, "config.text": typed}, [])["config"])

    assert config(KIND).get("text") == kept
