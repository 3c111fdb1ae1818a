"""A kind where each alert is an incident of its own gets each by itself: what would group them is refused and not
offered, and its form begins with reminders where the receiver forgets."""

import re
from typing import Any

import pytest

from rmactors.server.channels.registry import KINDS
from tests.web.conftest import Site

BODY: dict[str, Any] = {
    "kind": "alertmanager", "name": "prometheus", "config": {"url": "http://alerts.example.org:9093"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("group_seconds", 60),
        ("group_by", "all"),
        ("digest", {"cron": "0 8 * * *", "timezone": "Europe/Berlin"}),
        ("quiet_hours", {"timezone": "Europe/Berlin", "from": "22:00", "to": "07:00", "days": []}),
    ],
)
async def test_what_makes_one_message_of_several_alerts_is_refused(site: Site, field: str, value: Any) -> None:
    answer = await site.api("POST", "/api/notifications", {**BODY, field: value})
    assert answer.status == 422
    said = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
    assert "Alertmanager gets each alert by itself" in said[f"/{field}"]
    made = await site.post(
        "/api/notifications", {**BODY, "group_seconds": 0, "group_by": "host", "digest": None, "quiet_hours": None}
    )
    answer = await site.api("PUT", f"/api/notifications/{made['id']}", {**BODY, field: value})
    assert answer.status == 422


async def test_the_form_offers_no_grouping_and_begins_with_reminders(site: Site) -> None:
    await site.user()
    browser = await site.log_in()

    async def shown(kind: str) -> dict[str, str]:
        page = await (await browser.get(f"/settings/notifications/new?kind={kind}")).get_data(as_text=True)
        return dict(re.findall(r'<input id="f-([\w.]+)"[^>]*? value="(.*?)"', page))

    found = await shown("alertmanager")
    assert not {name for name in found if name.startswith(("group_", "quiet_hours", "digest"))}
    assert found["remind_hours"] == "4"
    assert (await shown("webhook"))["group_seconds"] == "0"
    assert (await shown("webhook"))["remind_hours"] == "0"


async def test_a_form_without_that_field_saves(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    form = {"kind": "alertmanager", "name": "prometheus", "config.url": "http://alerts.example.org:9093",
            "min_severity": "info", "enabled": "1", "events": "alert.raised", "remind_hours": "4"}  # fmt: skip
    answer = await browser.post("/settings/notifications/new", form=form)
    assert answer.status_code == 303
    [made] = (await site.get("/api/notifications"))["items"]
    assert (made["group_seconds"], made["remind_hours"]) == (0, 4)


def test_which_kinds_these_are() -> None:
    assert (
        {"alertmanager"} <= {kind.name for kind in KINDS.values() if not kind.groups} <= {"alertmanager", "pagerduty"}
    )
