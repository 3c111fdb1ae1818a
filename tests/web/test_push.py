"""Notifications of one's own browser: a channel that a viewer makes for themselves, and that ends with its user."""

import os
import re

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock, ids
from rmactors.server.config.secrets import KEY_BYTES, write_keys
from rmactors.server.web import access
from tests.channels.strict_push import Subscription
from tests.web.conftest import PASSWORD, Site, reply

PAGE = "/settings/authentication"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ENDPOINT = "https://push.example.org/wpush/v2/gAAAAAB-"


async def page(browser: QuartClient) -> str:
    return (await reply(await browser.get(PAGE))).text


async def key_on(browser: QuartClient) -> str:
    [key] = re.findall(r'data-push="([\w-]{87})"', await page(browser))
    return str(key)


def given(made_for: str, n: int = 0, **changes: str) -> dict[str, str]:
    """The form as the page's script fills it in."""
    return {**Subscription(made_for).given(f"{ENDPOINT}{n}"), "made_for": made_for, **changes}


async def subscribed(browser: QuartClient, n: int = 0, **changes: str) -> int:
    answer = await browser.post(
        f"{PAGE}/push", form=given(await key_on(browser), n, **changes), headers={"User-Agent": FIREFOX}
    )
    return int(answer.status_code)


async def channels(site: Site) -> list[dict[str, object]]:
    return list((await site.get("/api/notifications"))["items"])


async def test_a_viewer_makes_a_channel_of_the_browser_at_hand_and_removes_it_again(site: Site) -> None:
    await site.user("vera", "viewer")
    browser = await site.log_in("vera")
    assert await subscribed(browser) == 303
    [channel] = await channels(site)
    assert (channel["kind"], channel["name"], channel["enabled"]) == ("webpush", "vera's Firefox on Linux", True)
    assert channel["config"]["endpoint"] == channel["config"]["auth"] == channel["config"]["vapid_key"] == {"set": True}  # type: ignore[index]
    shown = await page(browser)
    assert "vera&#39;s Firefox on Linux" in shown
    assert ENDPOINT not in shown
    ((actor, detail),) = site.sql("SELECT actor, detail FROM audit WHERE action = 'channel.create'")
    assert (actor, detail) == ("vera", "vera's Firefox on Linux")
    removed = await browser.post(f"{PAGE}/push/{channel['id']}/delete")
    assert removed.status_code == 303
    assert await channels(site) == []


async def test_the_same_browser_once_more_is_one_channel(site: Site) -> None:
    await site.user("vera", "viewer")
    browser = await site.log_in("vera")
    assert [await subscribed(browser) for _ in range(2)] == [303, 303]
    assert len(await channels(site)) == 1
    assert await subscribed(browser, 1) == 303
    assert len(await channels(site)) == 2


async def test_nobody_removes_another_ones_and_no_other_channel_either(site: Site) -> None:
    for name in ("vera", "olga"):
        await site.user(name, "viewer")
    vera, olga = await site.log_in("vera"), await site.log_in("olga")
    await subscribed(vera)
    hook = await site.post(
        "/api/notifications", {"kind": "webhook", "name": "ops", "config": {"url": "https://hooks.example/x"}}
    )
    for channel in await channels(site):
        assert (await olga.post(f"{PAGE}/push/{channel['id']}/delete")).status_code == 404
    assert (await vera.post(f"{PAGE}/push/{hook['id']}/delete")).status_code == 404
    assert len(await channels(site)) == 2
    assert "vera&#39;s" not in await page(olga)


async def test_a_deleted_or_disabled_user_hears_nothing_more(site: Site) -> None:
    await site.user()  # an administrator has to be left
    for n, (name, end) in enumerate((("vera", ("DELETE", None)), ("olga", ("PATCH", {"disabled": True})))):
        user_id = await site.user(name, "viewer")
        browser = await site.log_in(name)
        await subscribed(browser, n)
        assert len(await channels(site)) == 1
        assert (await site.api(end[0], f"/api/users/{user_id}", end[1])).status in (200, 204)
        assert await channels(site) == []


async def test_another_change_of_a_user_leaves_their_browsers_alone(site: Site) -> None:
    await site.user()
    user_id = await site.user("vera", "viewer")
    await subscribed(await site.log_in("vera"))
    assert (await site.api("PATCH", f"/api/users/{user_id}", {"role": "operator"})).status == 200
    assert len(await channels(site)) == 1


async def test_it_wants_a_password_shown_a_short_while_ago(site: Site) -> None:
    await site.user("vera", "viewer")
    browser = await site.log_in("vera")
    key = await key_on(browser)
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    asked = await browser.post(f"{PAGE}/push", form=given(key))
    assert asked.status_code == 403
    assert "Confirm your password" in await asked.get_data(as_text=True)
    assert await channels(site) == []


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("endpoint", "http://push.example.org/x", "https address"), ("endpoint", "https://192.168.0.1/x", "private"),
        ("p256dh", "AAAA", "public key"), ("auth", "AAAA", "16 bytes"), ("endpoint", "", "needed"),
    ],
)  # fmt: skip
async def test_what_is_no_subscription_is_refused_with_a_sentence(
    field: str, value: str, says: str, site: Site
) -> None:
    await site.user("vera", "viewer")
    browser = await site.log_in("vera")
    answer = await reply(await browser.post(f"{PAGE}/push", form=given(await key_on(browser), **{field: value})))
    assert answer.status == 422
    assert says in answer.text
    assert await channels(site) == []


async def test_a_user_has_ten_browsers_at_most(site: Site) -> None:
    await site.user("vera", "viewer")
    browser = await site.log_in("vera")
    assert [await subscribed(browser, n) for n in range(11)] == [303] * 10 + [422]
    assert len(await channels(site)) == 10
    assert await subscribed(browser, 3) == 303, "one that is there already may come again"


async def test_a_new_key_of_the_server_ends_no_subscription_and_new_ones_are_made_for_it(site: Site) -> None:
    await site.user("vera", "viewer")
    browser = await site.log_in("vera")
    old = await key_on(browser)
    await subscribed(browser)
    # As a rotation does at its end; the stored rows are not moved here, and the box still knows their key.
    write_keys(site.services.settings.key_file, [os.urandom(KEY_BYTES)])
    assert await key_on(browser) != old
    late = await reply(await browser.post(f"{PAGE}/push", form=given(old, 1)))
    assert late.status == 422
    assert "changed meanwhile" in late.text
    assert len(await channels(site)) == 1


async def test_while_the_servers_key_cannot_be_used_the_page_is_there_without_it(site: Site) -> None:
    await site.user("vera", "viewer")
    browser = await site.log_in("vera")
    site.services.settings.key_file.chmod(0o644)
    assert 'data-push=""' in await page(browser)


async def test_the_form_of_a_new_channel_does_not_offer_what_nobody_can_type(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    form = (await reply(await browser.get("/settings/notifications/new"))).text
    assert "?kind=webhook" in form
    assert "?kind=webpush" not in form


async def test_an_administrator_sees_it_and_may_change_what_it_sends(site: Site) -> None:
    await site.user("vera", "viewer")
    await subscribed(await site.log_in("vera"))
    [channel] = await channels(site)
    changed = {**channel, "min_severity": "critical"}
    assert (await site.api("PUT", f"/api/notifications/{channel['id']}", changed)).status == 200
    [channel] = await channels(site)
    assert channel["min_severity"] == "critical"
    await site.user("anna")
    admin = await site.log_in("anna")
    edit = await reply(await admin.get(f"/settings/notifications/{channel['id']}/edit"))
    assert edit.status == 200
    assert ENDPOINT not in edit.text
    assert (await site.api("POST", f"/api/notifications/{channel['id']}/test")).status == 200


async def test_a_token_has_no_browser(site: Site) -> None:
    answer = await site.api("POST", f"{PAGE}/push", role="admin")
    assert answer.status == 422
    assert "A token has no browser" in answer.body.decode()
    assert (await site.api("POST", f"{PAGE}/push/{ids.new()}/delete", role="admin")).status == 404


async def test_the_service_worker_is_at_the_root_and_may_run(site: Site) -> None:
    answer = await reply(await site.browser().get("/sw.js"))
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "worker-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "showNotification" in answer.text
    assert PASSWORD not in answer.text
