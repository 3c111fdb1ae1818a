"""Static files under names that hold a hash of their content."""

import gzip
import re
from pathlib import Path

import pytest

from rmactors.server.web.static_files import files, folder, static
from tests.web.conftest import Site

HASHED = re.compile(r'"(/static/[^"]+)"')


@pytest.mark.parametrize("name", sorted(files()))
async def test_each_file_is_whole_compressed_and_not_and_kept_for_a_year(site: Site, name: str) -> None:
    content = (folder() / name).read_bytes()
    plain = await site.browser().get(static(name))
    assert await plain.get_data(as_text=False) == content
    assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    packed = await site.browser().get(static(name), headers={"Accept-Encoding": "gzip"})
    body = await packed.get_data(as_text=False)
    if packed.headers.get("Content-Encoding") == "gzip":
        assert len(body) < len(content)
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert "Accept-Encoding" in plain.headers["Vary"]
        body = gzip.decompress(body)
    assert body == content
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]


async def test_scripts_and_styles_have_their_types(site: Site) -> None:
    for name, kind in (
        ("app.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icons/192.png", "image/png"),
    ):
        assert (await site.browser().get(static(name))).headers["Content-Type"] == kind
    icon = await site.browser().get(static("icon-ok.svg"))
    assert icon.headers["Content-Type"].startswith("image/svg+xml")


async def test_pages_name_their_files_by_the_hash(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    for visitor, path in ((site.browser(), "/login"), (browser, "/hosts")):
        page = await visitor.get(path)
        found = HASHED.findall(await page.get_data(as_text=True))
        assert found
        for address in found:
            assert re.search(r"\.[0-9a-f]{12}\.", address), address
            answer = await site.browser().get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]


def test_no_template_names_a_file_without_its_hash() -> None:
    templates = Path(folder()).parent / "templates"
    assert [str(path) for path in templates.rglob("*.html") if "/static/" in path.read_text()] == []


async def test_the_name_without_a_hash_works_for_minutes(site: Site) -> None:
    answer = await site.browser().get("/static/app.js")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"


async def test_a_page_of_the_version_before_gets_the_file_there_is(site: Site) -> None:
    answer = await site.browser().get("/static/app.0123456789ab.js")
    assert await answer.get_data(as_text=False) == files()["app.js"].data
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_a_file_that_the_browser_has_is_not_sent_again(site: Site) -> None:
    first = await site.browser().get("/static/style.css")
    again = await site.browser().get("/static/style.css", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert await again.get_data(as_text=False) == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    other = await site.browser().get("/static/style.css", headers={"If-None-Match": 'W/"other"'})
    assert other.status_code == 200


async def test_a_part_of_a_file_is_answered_with_all_of_it(site: Site) -> None:
    answer = await site.browser().get(static("app.js"), headers={"Range": "bytes=0-9"})
    assert answer.status_code == 200
    assert await answer.get_data(as_text=False) == files()["app.js"].data


async def test_the_service_worker_keeps_its_name(site: Site) -> None:
    answer = await site.browser().get("/sw.js")
    assert await answer.get_data(as_text=False) == files()["sw.js"].data
    assert answer.headers["Cache-Control"] == "no-cache"
