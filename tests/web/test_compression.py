"""What goes out compressed, what does not, and that it is the same text."""

import gzip
import zlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from rmactors.server.web import compression
from rmactors.server.web.access import ROUTES
from tests.web.conftest import Site

GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
async def full(site: Site) -> Site:
    """Enough hosts that each list is larger than what is left alone."""
    for n in range(20):
        await site.enroll(f"host-{n}")
    return site


@pytest.mark.parametrize("path", ["/api/hosts", "/hosts", "/", "/audit.csv", "/api/openapi.json"])
async def test_text_goes_out_compressed_and_is_the_same(full: Site, path: str) -> None:
    plain = await full.api("GET", path)
    packed = await full.app.test_client().get(path, headers={**GZIP, "Authorization": f"Bearer {full.tokens['admin']}"})
    body = await packed.get_data(as_text=False)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(body) < len(plain.body) / 2
    assert int(packed.headers["Content-Length"]) == len(body)
    assert gzip.decompress(body)[:200] == plain.body[:200]
    for headers in (plain.headers, packed.headers):
        assert "Accept-Encoding" in headers["Vary"]


async def test_a_head_says_what_its_get_would_bring(full: Site) -> None:
    bearer = {**GZIP, "Authorization": f"Bearer {full.tokens['viewer']}"}
    got = await full.app.test_client().get("/api/openapi.json", headers=bearer)
    head = await full.app.test_client().head("/api/openapi.json", headers=bearer)
    for name in ("Content-Encoding", "Content-Length", "Content-Type", "Vary"):
        assert head.headers[name] == got.headers[name]


async def test_what_is_small_or_has_no_body_stays_as_it_is(site: Site) -> None:
    bearer = {**GZIP, "Authorization": f"Bearer {site.tokens['admin']}"}
    small = await site.app.test_client().get("/api/hosts", headers=bearer)
    assert small.status_code == 200
    assert "Content-Encoding" not in small.headers
    host_id = await site.enroll()
    gone = await site.app.test_client().delete(f"/api/hosts/{host_id}", headers=bearer)
    assert gone.status_code == 204
    assert "Content-Encoding" not in gone.headers
    assert await gone.get_data(as_text=False) == b""


async def test_a_stream_is_not_held_back_to_be_compressed(site: Site) -> None:
    bearer = {**GZIP, "Authorization": f"Bearer {site.tokens['viewer']}"}
    site.topics.close()  # the stream ends at once
    with trio.fail_after(30):
        answer = await site.app.test_client().get("/events", headers=bearer)
        assert await answer.get_data(as_text=False) == b": connected\nretry: 3000\n\n"
    assert "Content-Encoding" not in answer.headers
    assert "Accept-Encoding" not in answer.headers.get("Vary", "")


async def test_an_answer_that_shows_a_secret_is_never_compressed(full: Site) -> None:
    """Its length would tell whether a text that somebody chose is like the secret."""
    bearer = {**GZIP, "Authorization": f"Bearer {full.tokens['admin']}"}
    await full.user()
    browser = await full.log_in()
    host_id = await full.enroll("one-more")
    secrets = [
        await full.app.test_client().post("/api/enrollment-tokens", headers=bearer, json={}),
        await full.app.test_client().post(f"/api/hosts/{host_id}/rotate-token", headers=bearer),
        await browser.post("/hosts/new", headers=GZIP),
        await browser.post(f"/hosts/{host_id}/rotate-token", headers=GZIP),
        await browser.post("/settings/authentication/second-factor", form={"step": "offer"}, headers=GZIP),
        await browser.get("/reauthenticate", headers=GZIP),
        await full.browser().get("/login?next=" + "/x" * 600, headers=GZIP),
    ]
    for answer in secrets:
        assert answer.status_code in (200, 201), await answer.get_data(as_text=True)
        assert "Content-Encoding" not in answer.headers


def test_only_what_reads_may_say_that_it_holds_no_secret() -> None:
    said = {rule.path.rpartition("/")[2]: method for (_, method), rule in ROUTES.items() if rule.holds_secret is False}
    assert said == {"browse": "POST", "find": "POST", "diff": "POST"}


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *;q=1", False),
        ("*;q=0", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.2", True),
        ("gzip;q=many", False),
    ],
)
def test_a_reader_gets_gzip_only_where_it_takes_that(accepted: str, takes: bool) -> None:
    assert compression.takes_gzip(parse_accept_header(accepted, Accept)) is takes


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF)))
def test_no_accept_encoding_breaks_an_answer(accepted: str) -> None:
    assert compression.takes_gzip(parse_accept_header(accepted, Accept)) in (True, False)


@given(st.binary())
def test_what_is_compressed_is_the_same_bytes_each_time_and_comes_out_whole(data: bytes) -> None:
    packed = compression.squeeze(data)
    assert packed == compression.squeeze(data)
    assert zlib.decompress(packed, wbits=31) == data


@pytest.mark.parametrize("encoding", ["gzip, deflate, br, zstd", ";q=,,", "gzip\tq", "\xff"])
async def test_any_accept_encoding_gets_an_answer(full: Site, encoding: str) -> None:
    bearer = {"Accept-Encoding": encoding, "Authorization": f"Bearer {full.tokens['viewer']}"}
    answer = await full.app.test_client().get("/api/hosts", headers=bearer)
    assert answer.status_code == 200
