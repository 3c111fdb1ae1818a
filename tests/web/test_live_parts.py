"""A part of a page that is fetched again: 304, the lines that changed, or all of it."""

from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.web.changed_lines import KnownVersions, applied, tag_of
from rmactors.server.web.live_parts import LINES
from tests.web.conftest import Reply, Site

LINE = st.sampled_from(["", "<tr>", "</tr>", "a", "b", "c", "ü", "\u2028"])
TEXT = st.lists(LINE, max_size=30).map("\n".join)


@given(TEXT, TEXT)
def test_what_changed_makes_the_one_text_into_the_other(before: str, after: str) -> None:
    known = KnownVersions()
    known.add("before", before)
    made = known.changes("before", after)
    assert made is not None
    assert applied(before, made) == after


def test_one_line_of_many_is_all_that_goes_out() -> None:
    lines = [f"row {n}" for n in range(1000)]
    known = KnownVersions()
    known.add("before", "\n".join(lines))
    lines[500] = "another"
    assert known.changes("before", "\n".join(lines)) == [(0, 500), "another", (501, 499)]


def test_rows_in_another_order_are_told_by_their_numbers() -> None:
    known = KnownVersions()
    known.add("before", "a\nb\nc\nd")
    assert known.changes("before", "c\nd\na\nb") == [(2, 2), (0, 2)]


def test_the_versions_that_were_sent_longest_ago_are_forgotten() -> None:
    known = KnownVersions(kept=2)
    for tag in ("one", "two", "one", "three"):
        known.add(tag, tag)
    assert known.changes("two", "x") is None
    assert known.changes("one", "one") == [(0, 1)]
    assert len(known) == 2


def test_a_version_of_very_many_lines_is_not_kept() -> None:
    known = KnownVersions()
    known.add("long", "\n" * 30_000)
    assert len(known) == 0


def test_a_tag_is_of_the_text_and_weak() -> None:
    assert tag_of("a") == tag_of("a") != tag_of("b")
    assert tag_of("a").startswith('W/"')


async def fetch(site: Site, path: str, part: str, tag: str = "", accept: str = f"{LINES}, text/html") -> Reply:
    headers = {"HX-Request": "true", "HX-Target": part, "Accept": accept}
    return await site.api("GET", path, role="viewer", headers=headers | ({"If-None-Match": tag} if tag else {}))


def rebuilt(before: str, answer: Reply) -> str:
    told: Any = answer.json
    after = applied(before, [each if isinstance(each, str) else (each[0], each[1]) for each in told["lines"]])
    assert told["size"] == len(after.encode("utf-16-le")) // 2
    return after


async def test_a_part_that_is_as_it_was_is_not_sent_again(site: Site) -> None:
    await site.enroll()
    first = await fetch(site, "/settings/notifications", "channel-list")
    again = await fetch(site, "/settings/notifications", "channel-list", first.headers["ETag"])
    assert again.status == 304
    assert again.body == b""
    assert again.headers["ETag"] == first.headers["ETag"]


async def test_only_the_lines_that_changed_are_sent(site: Site) -> None:
    for n in range(30):
        await site.enroll(f"host-{n:02}\U0001f600")
    first = await fetch(site, "/hosts", "host-list")
    assert first.headers["Content-Type"].startswith("text/html")
    host = (await site.get("/api/hosts"))["items"][10]
    await site.api("PATCH", f"/api/hosts/{host['id']}", {"name": "renamed"})
    second = await fetch(site, "/hosts", "host-list", first.headers["ETag"])
    assert second.headers["Content-Type"] == LINES
    assert len(second.body) < len(first.body) / 4
    whole = await fetch(site, "/hosts", "host-list")
    text = rebuilt(first.text, second)
    assert "renamed" in text
    assert host["name"] not in text
    assert text.count("<tr") == whole.text.count("<tr")


async def test_a_reader_that_knows_no_lines_gets_all_of_it(site: Site) -> None:
    await site.enroll()
    first = await fetch(site, "/hosts", "host-list", accept="text/html")
    await site.enroll("another")
    second = await fetch(site, "/hosts", "host-list", first.headers["ETag"], accept="text/html")
    assert second.headers["Content-Type"].startswith("text/html")
    assert "another" in second.text


async def test_a_version_that_the_server_does_not_know_gets_all_of_it(site: Site) -> None:
    await site.enroll()
    for tag in ('W/"0123"', "nonsense", "*"):
        answer = await fetch(site, "/hosts", "host-list", tag)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")


async def test_a_whole_page_has_no_tag(site: Site) -> None:
    answer = await site.api("GET", "/hosts", headers={"Accept": LINES, "If-None-Match": "*"})
    assert answer.status == 200
    assert "ETag" not in answer.headers


async def test_our_own_pages_are_told_the_number_of_open_alerts_with_the_stream(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {site.tokens['viewer']}"}
    seen = b""
    with trio.fail_after(30):
        async with site.app.test_client().request("/events?badge=1", headers=bearer) as connection:
            await connection.send_complete()
            while b"event: badge" not in seen:
                seen += await connection.receive()
            site.topics.close()
    line = next(each for each in seen.decode().splitlines() if each.startswith('data: <span id="badge"'))
    assert 'data-open="0"' in line
