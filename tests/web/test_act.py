"""Acting from a message: the page behind a signed link, without a session. Looking changes nothing, the button does."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rmactors.common import clock, ids
from rmactors.server.bootstrap import act_link
from rmactors.server.config.secrets import KEY_BYTES, write_keys
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert
from tests.web.conftest import Reply, Site, open_site, reply, settings_for

MESSAGE = "Backup of home failed: <b>wrong password</b>"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Linked:
    """An alert, a channel, and the link about the one that was sent to the other."""

    def __init__(self, site: Site, host_id: str, alert_id: str, channel_id: str) -> None:
        self.site, self.host_id, self.alert_id, self.channel_id = site, host_id, alert_id, channel_id
        link = act_link(site.services.settings, site.services.box, channel_id, alert_id, site.clock())
        self.path = link.removeprefix(site.services.settings.public_url)
        self.address = 0

    async def ask(self, method: str = "GET", data: bytes = b"", path: str = "", **headers: str) -> Reply:
        """From another address each time, so that the limit for one of them is not met."""
        self.address += 1
        scope = {"client": (f"192.0.2.{self.address}", 1)}
        sent = {
            **(FORM if method == "POST" else {}),
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        client = self.site.app.test_client()
        return await reply(
            await client.open(path or self.path, method=method, headers=sent, data=data, scope_base=scope)
        )

    async def press(self, choice: str = "acknowledge", **headers: str) -> Reply:
        return await self.ask("POST", f"choice={choice}".encode(), **headers)

    @property
    def acknowledged_by(self) -> str | None:
        ((by,),) = self.site.sql("SELECT acknowledged_by FROM alerts WHERE id = ?", self.alert_id)
        return None if by is None else str(by)

    def silences(self) -> list[tuple[object, ...]]:
        return [
            tuple(row) for row in self.site.sql("SELECT host_id, kind, ends_at - starts_at, created_by FROM silences")
        ]

    def everything(self) -> list[tuple[object, ...]]:
        """All that a request could have changed."""
        tables = ("alerts", "alert_events", "silences", "audit", "deliveries", "sessions")
        return [tuple(row) for table in tables for row in self.site.sql(f"SELECT * FROM {table}")]


async def raised(site: Site, name: str = "nas1") -> tuple[str, str]:
    host_id, alert_id = await site.enroll(name), ids.new()
    await site.commit(RaiseAlert(alert_id, host_id, "backup_failed", "plan:home", "critical", MESSAGE, site.clock()))
    return host_id, alert_id


async def make_linked(site: Site) -> Linked:
    body = {"kind": "webhook", "name": "ops & co", "config": {"url": "https://hooks.example/x"}}
    channel = await site.post("/api/notifications", body)
    return Linked(site, *await raised(site), channel["id"])


@pytest.fixture
async def linked(site: Site) -> Linked:
    return await make_linked(site)


# ---- looking


async def test_the_page_shows_the_alert_one_button_and_no_way_into_the_application(linked: Linked) -> None:
    page = await linked.ask()
    assert page.status == 200
    for text in ("Backup failed", "nas1", "Critical", "Open", "&lt;b&gt;wrong password&lt;/b&gt;"):
        assert text in page.text
    assert page.text.count("<button") == 1
    assert page.text.count('type="radio"') == 4
    assert "<nav" not in page.text
    assert '<a class="skip" href="#main">' in page.text
    assert page.text.count("<a ") == 1
    assert "<script" not in page.text
    for hidden in (linked.host_id, linked.alert_id, linked.channel_id, "ops &amp; co", "hooks.example"):
        assert hidden not in page.text


async def test_its_address_is_kept_and_passed_on_by_nobody(linked: Linked) -> None:
    for page in (await linked.ask(), await linked.ask(path="/act/x"), await linked.press()):
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert '<meta name="robots" content="noindex,nofollow">' in page.text
        assert "Set-Cookie" not in page.headers


async def test_a_program_that_fetches_every_link_in_a_mail_changes_nothing(linked: Linked) -> None:
    before = linked.everything()
    for method in ("GET", "HEAD", "GET", "OPTIONS", "HEAD", "PUT", "DELETE"):
        answer = await linked.ask(method)
        if method in ("GET", "HEAD"):
            assert answer.status == 200
    assert linked.everything() == before


async def test_head_answers_as_get_does(linked: Linked) -> None:
    head, get = await linked.ask("HEAD"), await linked.ask()
    assert (head.status, dict(head.headers)) == (get.status, dict(get.headers))
    assert (await linked.ask("HEAD", path="/act/x")).status == 404


# ---- acting


async def test_the_button_acknowledges_in_the_name_of_the_link(linked: Linked) -> None:
    done = await linked.press()
    assert done.status == 200
    assert "The alert is acknowledged." in done.text
    alert = await linked.site.get(f"/api/alerts/{linked.alert_id}")
    assert alert["acknowledged_by"] == "link:ops & co"
    (entry,) = [entry for entry in alert["timeline"] if entry["event"] == "acknowledged"]
    assert entry["by"] == "link:ops & co"
    (row,) = [
        row
        for row in (await linked.site.get("/api/audit", role="admin"))["items"]
        if row["action"] == "alert.acknowledge"
    ]
    assert (row["actor"], row["actor_kind"], row["target_id"]) == ("link:ops & co", "system", linked.alert_id)
    assert row["address"] == "192.0.2.1"


async def test_the_acknowledgement_is_notified_as_an_operators_is(linked: Linked) -> None:
    await linked.press()
    rows = linked.site.sql("SELECT event FROM deliveries WHERE alert_id = ? ORDER BY seq", linked.alert_id)
    assert [row["event"] for row in rows] == ["alert.raised", "alert.acknowledged"]


async def test_a_program_that_posts_nothing_acknowledges(linked: Linked) -> None:
    """Such as an action button, which sends no form."""
    assert (await linked.ask("POST")).status == 200
    assert linked.acknowledged_by == "link:ops & co"


async def test_pressed_twice_it_is_acknowledged_once(linked: Linked) -> None:
    assert [(await linked.press()).status for _ in range(2)] == [200, 200]
    rows = linked.site.sql("SELECT 1 FROM alert_events WHERE event = 'acknowledged'")
    assert len(rows) == 1


@pytest.mark.parametrize("hours", [1, 4, 24])
async def test_a_silence_is_of_this_kind_of_alert_of_this_host_for_so_many_hours(linked: Linked, hours: int) -> None:
    done = await linked.press(f"silence-{hours}")
    assert f"Silenced for {hours} hour" in done.text
    assert linked.silences() == [(linked.host_id, "backup_failed", hours * clock.HOUR, "link:ops & co")]
    assert linked.acknowledged_by is None
    ((actor, kind),) = linked.site.sql("SELECT actor, actor_kind FROM audit WHERE action = 'silence.create'")
    assert (actor, kind) == ("link:ops & co", "system")


async def test_a_silence_asked_for_twice_in_a_minute_is_one_and_later_it_is_prolonged(linked: Linked) -> None:
    await linked.press("silence-4")
    await linked.press("silence-4")
    await linked.press("silence-1")
    assert len(linked.silences()) == 1
    linked.site.clock.advance(clock.HOUR)
    await linked.press("silence-4")
    assert len(linked.silences()) == 2


async def test_what_is_acknowledged_already_can_still_be_silenced(linked: Linked) -> None:
    await linked.press()
    page = await linked.ask()
    assert "Acknowledged" in page.text
    assert 'value="acknowledge"' not in page.text
    assert 'value="silence-1" checked' in page.text


async def test_a_choice_that_is_none_is_refused_and_nothing_is_done(linked: Linked) -> None:
    before = linked.everything()
    refused = await linked.press("silence-1000")
    assert refused.status == 422
    assert "Choose one of these." in refused.text
    assert linked.everything() == before


# ---- who may send the form


async def test_another_site_cannot_press_the_button(linked: Linked) -> None:
    for headers in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        assert (await linked.press(**headers)).status == 403
    assert linked.acknowledged_by is None


async def test_a_form_of_a_page_that_sends_no_referrer_is_taken_also_over_plain_http(linked: Linked) -> None:
    """There browsers send no `Sec-Fetch-Site`, and `Origin: null` for a page with this policy."""
    assert (await linked.press(Origin="null")).status == 200
    assert linked.acknowledged_by is not None


async def test_where_the_address_is_no_secret_an_unknown_origin_is_another_site(site: Site) -> None:
    answer = await site.browser().post("/login", headers={"Origin": "null"}, form={"username": "anna"})
    assert answer.status_code == 403


# ---- links that do nothing


async def nothing_happens(linked: Linked, status: int, says: str, path: str = "") -> None:
    """Both ways of asking say the same, politely, and nothing of the alert."""
    before = linked.everything()
    for method in ("GET", "POST"):
        answer = await linked.ask(method, path=path)
        assert answer.status == status
        assert says in answer.text
        assert "Nothing to do here" in answer.text
        for hidden in ("nas1", "wrong password", "Backup", "<form", "<button", "/login"):
            assert hidden not in answer.text
    assert linked.everything() == before


@pytest.mark.parametrize("place", [5, 20, 40, 50, 60, -1])
async def test_a_changed_link_is_not_valid(linked: Linked, place: int) -> None:
    changed = list(linked.path)
    changed[place] = "A" if changed[place] != "A" else "B"
    await nothing_happens(linked, 404, "not valid", "".join(changed))


async def test_a_link_cannot_be_led_to_another_alert(linked: Linked) -> None:
    _, other = await raised(linked.site, "nas2")
    theirs = Linked(linked.site, linked.host_id, other, linked.channel_id).path.removeprefix("/act/")
    mine = linked.path.removeprefix("/act/")
    await nothing_happens(linked, 404, "not valid", f"/act/{theirs[:21]}{mine[21:]}")


async def test_after_seven_days_a_link_has_expired(linked: Linked) -> None:
    linked.site.clock.advance(7 * clock.DAY - clock.MINUTE)
    assert (await linked.ask()).status == 200
    linked.site.clock.advance(2 * clock.MINUTE)
    await nothing_happens(linked, 410, "expired")


async def test_a_link_ends_with_its_alert(linked: Linked) -> None:
    await linked.site.commit(ResolveAlert(linked.alert_id, linked.site.clock(), "rule", None, "it succeeded"))
    await nothing_happens(linked, 410, "is over")


async def test_a_link_ends_with_its_host(linked: Linked) -> None:
    site = linked.site
    assert (await site.api("DELETE", f"/api/hosts/{linked.host_id}")).status == 204
    await nothing_happens(linked, 410, "is over")


async def test_a_link_about_an_alert_that_was_removed_says_that_it_is_over(linked: Linked) -> None:
    linked.site.sql("DELETE FROM alerts")
    await nothing_happens(linked, 410, "is over")


async def test_a_link_ends_while_its_channel_is_disabled_and_for_good_when_it_is_deleted(linked: Linked) -> None:
    path = f"/api/notifications/{linked.channel_id}"
    channel = await linked.site.get(path)
    disabled = channel | {"enabled": False}
    assert (await linked.site.api("PUT", f"{path}?queued=keep", disabled)).status == 200
    await nothing_happens(linked, 410, "not in use any more")
    assert (await linked.site.api("PUT", path, channel)).status == 200
    assert (await linked.ask()).status == 200
    assert (await linked.site.api("DELETE", path)).status == 204
    await nothing_happens(linked, 410, "not in use any more")


async def test_a_new_key_of_the_server_ends_all_links(linked: Linked) -> None:
    write_keys(linked.site.services.settings.key_file, [os.urandom(KEY_BYTES)])
    await nothing_happens(linked, 404, "not valid")


@pytest.fixture
async def without_links(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(settings_for(tmp_path / "off", action_links=False)) as opened:
        yield opened


async def test_where_they_are_switched_off_no_link_is_given_out_and_none_does_anything(
    linked: Linked, without_links: Site
) -> None:
    off = await make_linked(without_links)
    assert off.path == ""
    await nothing_happens(off, 404, "switched off", linked.path)


async def test_no_message_and_no_page_is_lost_while_the_key_cannot_be_used(linked: Linked) -> None:
    settings, box = linked.site.services.settings, linked.site.services.box
    settings.key_file.chmod(0o644)
    assert act_link(settings, box, linked.channel_id, linked.alert_id, linked.site.clock()) == ""
    await nothing_happens(linked, 503, "at the moment")
    settings.key_file.chmod(0o600)
    assert (await linked.ask()).status == 200


# ---- how often


async def test_an_address_may_follow_ten_links_a_minute(linked: Linked) -> None:
    client = linked.site.app.test_client()
    for n in range(10):
        assert (await client.open(linked.path, method=("GET", "HEAD")[n % 2])).status_code == 200
    refused = await client.post(linked.path, data=b"", headers=FORM)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 6
    assert "Too many requests" in await refused.get_data(as_text=True)
    assert linked.acknowledged_by is None
    assert (await linked.ask()).status == 200, "another address is not held up"
    linked.site.clock.advance(clock.MINUTE)
    assert (await client.get(linked.path)).status_code == 200


@pytest.fixture
async def behind_a_proxy(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(settings_for(tmp_path / "proxied", trusted_proxies="203.0.113.0/24")) as opened:
        yield opened


async def test_behind_a_trusted_proxy_the_address_that_it_names_is_counted(behind_a_proxy: Site) -> None:
    linked = await make_linked(behind_a_proxy)
    client, scope = behind_a_proxy.app.test_client(), {"client": ("203.0.113.9", 1)}

    async def follow(address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return (await client.get(linked.path, headers=headers, scope_base=scope)).status_code

    assert [await follow("198.51.100.1") for _ in range(11)] == [200] * 10 + [429]
    assert await follow("198.51.100.2") == 200
