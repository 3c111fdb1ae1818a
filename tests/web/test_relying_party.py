"""Where passkeys work, as the public URL has it."""

import pytest

from rmactors.server.web.auth.relying_party import relying_party


@pytest.mark.parametrize(
    ("url", "name", "origin"),
    [
        ("https://backup.example", "backup.example", "https://backup.example"),
        ("https://backup.example:443", "backup.example", "https://backup.example"),
        ("https://Backup.Example:8443", "backup.example", "https://backup.example:8443"),
        ("https://bücher.example", "xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://localhost:8080", "localhost", "http://localhost:8080"),
        ("http://rm.localhost:8080", "rm.localhost", "http://rm.localhost:8080"),
    ],
)
def test_a_name_over_https_and_localhost_are_places_for_passkeys(url: str, name: str, origin: str) -> None:
    party = relying_party(url)
    assert (party.id, party.origin, party.trouble) == (name, origin, "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://192.0.2.1", "https://[2001:db8::1]:8443"])
def test_an_address_is_none_and_the_sentence_says_what_to_set(url: str) -> None:
    assert "set RM_BASE_URL to https:// and a name" in relying_party(url).trouble


def test_plain_http_elsewhere_is_none() -> None:
    assert "RM_BASE_URL" in relying_party("http://nas.lan").trouble
    assert "HTTPS" in relying_party("http://nas.lan").trouble_at("nas.lan")


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("backup.example", True),
        ("BACKUP.example:443", True),
        ("backup.example:8443", False),
        ("other.example", False),
        ("127.0.0.1", False),
        ("backup.example:x", False),
        ("", False),
    ],
)
def test_a_page_under_another_name_says_where_to_go(host: str, fits: bool) -> None:
    trouble = relying_party("https://backup.example").trouble_at(host)
    assert (trouble == "") is fits
    assert fits or "https://backup.example only" in trouble
