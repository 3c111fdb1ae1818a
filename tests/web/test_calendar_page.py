"""The page that says what runs when."""

from rmactors.server.messages.hosts import UpdateHost
from tests.web.conftest import Site, reply
from tests.web.test_host_lists import viewer


async def test_the_calendar_counts_enabled_schedules_of_hosts_that_are_there(site: Site) -> None:
    nas, web, gone = await site.enroll("nas1"), await site.enroll("web-1"), await site.enroll("gone")
    await site.commit(UpdateHost(web, None, ("prod",), site.audit("host.update")))
    for host, name, enabled in (
        (nas, "Nightly", True),
        (web, "Also nightly", True),
        (web, "Off", False),
        (gone, "G", True),
    ):
        body = {"name": name, "kind": "backup", "cron": "0 2 * * *", "enabled": enabled}
        await site.post(f"/api/hosts/{host}/schedules", body)
    every = {"name": "By a timer", "kind": "backup", "every_hours": 1, "mode": "external", "max_age_hours": 3}
    await site.post(f"/api/hosts/{nas}/schedules", every)
    assert (await site.api("DELETE", f"/api/hosts/{gone}")).status == 204
    browser = await viewer(site)
    text = (await reply(await browser.get("/calendar"))).text
    assert "3 runs in the next 24 hours" in text
    assert "Also nightly" in text
    assert ">Off <" not in text
    narrowed = (await reply(await browser.get("/calendar?tag=prod"))).text
    assert "1 run in the next 24 hours" in narrowed
    assert "nas1" not in narrowed
    week = (await reply(await browser.get("/calendar?range=7d"))).text
    assert "15 runs in the next 7 days" in week
