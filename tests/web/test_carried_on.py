"""A form that comes too late for its password asks for it, and goes on with all that was typed."""

import html
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from quart.testing.client import QuartClient
from quart.wrappers import Response

from rmactors.common import clock
from rmactors.server.web import access
from rmactors.server.web.access import ROUTES
from tests.web.conftest import PASSWORD, Site

NEW = "/settings/notifications/new"
TYPED = {
    "kind": "webhook", "name": 'Ops "& <co>', "config.url": "https://hooks.example.org/x",
    "config.bearer_token": "very-secret-1", "config.signing_secret": "very-secret-22-and-long-enough-for-it",
    "min_severity": "warning", "host_tags": "a, b", "events": ["alert.raised", "alert.resolved"], "remind_hours": "5",
    "enabled": "1",
}  # fmt: skip


async def late(site: Site, username: str = "anna") -> QuartClient:
    """Signed in, with a password that was shown too long ago."""
    await site.user(username=username)
    browser = await site.log_in(username)
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    return browser


async def send(browser: QuartClient, typed: Mapping[str, object]) -> Response:
    """As a browser does: a field with several values comes several times."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return await browser.post(NEW, data=urlencode(typed, doseq=True), headers=form)


async def carried(answer: Response) -> dict[str, str]:
    """The hidden fields of the page that asks for the password."""
    text = await answer.get_data(as_text=True)
    form = text.partition("<h1>")[2].partition("</form>")[0]
    fields = re.findall(r'<input type="hidden" name="(.+?)" value="(.*?)"', form)
    return {name: html.unescape(value) for name, value in fields}


def names(site: Site) -> list[str]:
    return [str(row["name"]) for row in site.sql("SELECT name FROM channels")]


async def test_nothing_that_was_typed_is_lost_and_no_secret_is_sent_back(site: Site) -> None:
    browser = await late(site)
    refused = await send(browser, TYPED)
    assert refused.status_code == 403
    text = await refused.get_data(as_text=True)
    assert f'action="{NEW}"' in text
    assert "very-secret" not in text
    assert names(site) == []

    hidden = await carried(refused)
    wrong = await browser.post(NEW, form={**hidden, "password_again": "not it"})
    assert wrong.status_code == 422
    assert await carried(wrong) == hidden
    assert names(site) == []

    right = await browser.post(NEW, form={**hidden, "password_again": PASSWORD})
    assert right.status_code == 303, await right.get_data(as_text=True)
    [channel] = (await site.api("GET", "/api/notifications")).json["items"]
    assert {name: channel[name] for name in ("name", "min_severity", "host_tags", "events", "remind_hours")} == {
        "name": 'Ops "& <co>', "min_severity": "warning", "host_tags": ["a", "b"],
        "events": ["alert.raised", "alert.resolved"], "remind_hours": 5,
    }  # fmt: skip
    assert channel["config"]["bearer_token"] == channel["config"]["signing_secret"] == {"set": True}
    assert (await send(browser, {**TYPED, "name": "second"})).status_code == 303, "it counts for a while"


async def test_what_the_form_refuses_is_said_in_the_form_after_the_password(site: Site) -> None:
    browser = await late(site)
    hidden = await carried(await send(browser, {**TYPED, "config.url": "ftp://hooks.example.org/"}))
    answer = await browser.post(NEW, form={**hidden, "password_again": PASSWORD})
    assert answer.status_code == 422
    text = await answer.get_data(as_text=True)
    assert "scheme must be http or https" in text
    assert 'value="a, b"' in text


async def test_too_many_wrong_passwords_wait_with_what_was_typed(site: Site) -> None:
    browser = await late(site)
    hidden = await carried(await send(browser, TYPED))
    statuses = [
        (await browser.post(NEW, form={**hidden, "password_again": "not it"})).status_code for _ in range(6)
    ]  # fmt: skip
    assert statuses == [422] * 5 + [429]
    site.clock.advance(clock.MINUTE)
    assert (await browser.post(NEW, form={**hidden, "password_again": PASSWORD})).status_code == 303


async def test_a_carried_form_is_good_for_its_own_place_and_user_alone(site: Site) -> None:
    anna, bert = await late(site), await late(site, "bert")
    hidden = await carried(await send(anna, TYPED))
    [(bert_id,)] = site.sql("SELECT id FROM users WHERE username = 'bert'")
    for browser, place in ((bert, NEW), (anna, f"/settings/users/{bert_id}/delete")):
        for sealed in (hidden, dict.fromkeys(hidden, "nonsense")):
            answer = await browser.post(place, form={**sealed, "password_again": PASSWORD})
            assert answer.status_code == 422
            assert "can no longer be read" in await answer.get_data(as_text=True)
    assert names(site) == []


async def test_back_leads_to_the_page_with_the_form_also_after_a_wrong_password(site: Site) -> None:
    browser = await late(site)
    place, origin = "/settings/users/01J8ZQ4X5K3T7V9W2Y6B8D0F1G", "http://localhost:8080"
    form: Mapping[str, str] = {"role": "operator"}
    for page in (f"{origin}/settings/users?from=here", origin + place, origin + place):
        answer = await browser.post(place, form=form, headers={"Referer": page})
        assert 'href="/settings/users?from=here">Back<' in await answer.get_data(as_text=True)
        form = {**await carried(answer), "password_again": "not it"}


async def test_sent_again_after_the_password_was_shown_it_is_still_the_form_that_it_carries(site: Site) -> None:
    """By "Back" and "Continue", or from a window that had asked before another one did."""
    browser = await late(site)
    await site.user(username="bert", role="operator")
    [(bert,)] = site.sql("SELECT id FROM users WHERE username = 'bert'")
    place = f"/settings/users/{bert}"
    hidden = await carried(await browser.post(place, form={"role": "operator", "disabled": "1"}))
    for again in (PASSWORD, PASSWORD, "not it, and not asked for any more"):
        answer = await browser.post(place, form={**hidden, "password_again": again})
        assert answer.status_code == 303, await answer.get_data(as_text=True)
        [(role, disabled)] = site.sql("SELECT role, disabled FROM users WHERE username = 'bert'")
        assert (role, disabled) == ("operator", 1)


async def test_every_delicate_form_carries_on(site: Site) -> None:
    """Whatever the page: the password goes to the very place that asked for it."""
    browser = await late(site)
    places = {
        re.sub("<[a-z_]+>", "01J8ZQ4X5K3T7V9W2Y6B8D0F1G", rule.path)
        for (_endpoint, method), rule in ROUTES.items()
        if method == "POST" and rule.fresh and not rule.path.startswith("/api/")
    }
    assert len(places) >= 10
    for place in places:
        answer = await browser.post(f"{place}?from=here", form={"confirm": "a name"})
        assert answer.status_code == 403, place
        assert f'action="{place}?from=here"' in await answer.get_data(as_text=True)
        assert len(await carried(answer)) == 1
