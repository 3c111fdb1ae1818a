"""Backrest's file, as protocol buffers write JSON. Written after its documentation: neither Debian nor PyPI has it."""

import subprocess
from typing import Any

import pytest

from rmactors.agent.imports import backrest
from rmactors.agent.imports.found import Found, When, Wrapper


def found(*plans: Any) -> list[Found]:
    return list(backrest.found_in({"version": 4, "plans": list(plans)}, "/c.json", "Asia/Tokyo", Wrapper(("echo",))))


@pytest.mark.parametrize(
    ("schedule", "when", "notes"),
    [
        ({"cron": "0 1 * * *", "clock": "CLOCK_LOCAL"}, When(cron="0 1 * * *", timezone="Asia/Tokyo"), 0),
        ({"cron": "0 1 * * *"}, When(cron="0 1 * * *", timezone="Asia/Tokyo"), 0),
        ({"cron": "0 1 * * *", "clock": "CLOCK_UTC"}, When(cron="0 1 * * *", timezone="Asia/Tokyo"), 1),
        ({"cron": "0 1 * * *", "clock": "CLOCK_LAST_RUN_TIME"}, When(cron="0 1 * * *", timezone="Asia/Tokyo"), 1),
        ({"maxFrequencyHours": 6, "clock": "CLOCK_LAST_RUN_TIME"}, When(every_hours=6), 0),
        ({"maxFrequencyDays": "2"}, When(every_hours=48), 0),
        ({"maxFrequencyDays": "x"}, When(timezone="Asia/Tokyo"), 1),
        ({"maxFrequencyHours": []}, When(timezone="Asia/Tokyo"), 1),
        ({"cron": " "}, When(timezone="Asia/Tokyo"), 1),
    ],
)
def test_when_a_plan_is_due(schedule: dict[str, object], when: When, notes: int) -> None:
    [each] = found({"id": "docs", "schedule": schedule})
    assert each.when == when
    assert len(each.notes) == notes
    assert each.place == "/c.json, plan docs"


@pytest.mark.parametrize(
    "plan", [{"id": "off", "schedule": {"disabled": True}}, {"id": "x"}, {"schedule": {"cron": "@daily"}}, 1]
)
def test_what_is_off_or_has_no_schedule_is_left_out(plan: Any) -> None:
    assert found(plan) == []


def test_a_file_without_plans_has_nothing() -> None:
    assert list(backrest.found_in({"plans": {}}, "x", "UTC", Wrapper())) == []


@pytest.mark.parametrize("name", ["docs", "my * plan", "it's"])
def test_the_script_reports_the_backups_of_that_plan_alone(name: str) -> None:
    [each] = found({"id": name, "schedule": {"maxFrequencyHours": 1}})
    script = f'{each.line}\necho other "$@"\n'

    def run(*words: str) -> str:
        return subprocess.run(["sh", "-c", script, "sh", *words], capture_output=True, text=True, check=True).stdout

    backup = ("backup", "--json", "--tag", f"plan:{name}", "--tag", "created-by:x", "/home")
    assert run(*backup).startswith("agent exec --kind backup --schedule ")
    assert run("snapshots", "--tag", f"plan:{name}", "--json").startswith("other")
    assert run("backup", "--json", "--tag", f"plan:{name}2", "/home").startswith("other")
