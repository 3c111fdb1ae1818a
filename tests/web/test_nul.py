"""A NUL, which PostgreSQL keeps in no text: what is asked for with one is found nowhere, and no page breaks."""

import json

import pytest

from tests.web.conftest import Site, reply

ON_BOTH_ENGINES = True


@pytest.mark.parametrize(
    "path",
    [
        "/hosts?q=%00", "/hosts?tag=%00", "/jobs?q=a%00b&host=%00&tag=%00", "/alerts?q=%00&host=%00",
        "/backups?tag=%00",
        "/repositories?q=%00&tag=%00", "/calendar?tag=%00", "/audit?action=%00&actor=%00", "/audit.csv?actor=%00",
    ],
)  # fmt: skip
async def test_a_page_that_is_narrowed_to_it_is_shown(site: Site, path: str) -> None:
    await site.user()
    browser = await site.log_in()
    assert (await reply(await browser.get(path))).status == 200


@pytest.mark.parametrize("path", ["/hosts/%00", "/jobs/%00", "/alerts/a%00", "/api/hosts/%00", "/api/jobs/%00"])
async def test_nothing_has_it_in_its_address(site: Site, path: str) -> None:
    await site.user()
    browser = await site.log_in()
    assert (await reply(await browser.get(path))).status == 404


async def test_nobody_signs_in_with_it(site: Site) -> None:
    await site.user("anna")
    form = {"username": "an\0na", "password": "x", "next": "/"}
    assert (await reply(await site.browser().post("/login", form=form))).status == 422


async def test_no_passkey_has_it_in_its_id(site: Site) -> None:
    browser = site.browser()
    await browser.post("/login/passkey/options")
    sent = {"id": "\0", "rawId": "\0", "type": "public-key", "response": {}}
    answer = await reply(await browser.post("/login/passkey", form={"credential": json.dumps(sent), "next": "/"}))
    assert answer.status == 422
