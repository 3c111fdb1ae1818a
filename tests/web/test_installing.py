"""The page among a phone's programs: what the manifest says is there, and of the size that it says."""

import json
import re
import struct

from rmactors.server.config import resources
from tests.web.conftest import Site, reply


def size_of(picture: bytes) -> str:
    """Of a PNG."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    return f"{width}x{height}"


async def test_the_manifest_is_what_browsers_ask_for_and_its_icons_are_there(site: Site) -> None:
    answer = await reply(await site.browser().get("/manifest.webmanifest"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/manifest+json")
    manifest = json.loads(answer.body)
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/", "/", "standalone")
    assert {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]} == {
        ("192x192", "any"), ("512x512", "any"), ("512x512", "maskable"),
    }  # fmt: skip
    for icon in manifest["icons"]:
        picture = await reply(await site.browser().get(icon["src"]))
        assert picture.headers["Content-Type"] == icon["type"]
        assert size_of(picture.body) == icon["sizes"]


async def test_every_page_names_it_but_the_one_behind_a_link_in_a_message(site: Site) -> None:
    await site.user()
    login = await (await site.browser().get("/login")).get_data(as_text=True)
    assert 'rel="manifest" href="/manifest.webmanifest"' in login
    [apple] = re.findall(r'rel="apple-touch-icon" href="([^"]+)"', login)
    assert size_of((await reply(await site.browser().get(apple))).body) == "180x180"
    act = await (await site.browser().get("/act/x")).get_data(as_text=True)
    assert "manifest" not in act


async def test_the_policy_lets_browsers_fetch_it(site: Site) -> None:
    answer = await site.browser().get("/login")
    assert "manifest-src 'self'" in answer.headers["Content-Security-Policy"]


def test_the_colour_of_the_browsers_bar_is_that_of_the_pages() -> None:
    style = (resources.path("web/static") / "style.css").read_text()
    base = (resources.path("web/templates") / "base.html").read_text()
    [(light, dark)] = re.findall(r"--surface: light-dark\((#\w+), (#\w+)\)", style)
    assert f'for name, colour in [("light", "{light}"), ("dark", "{dark}")]' in base
    assert 'name="theme-color" content="{{ colour }}"' in base
