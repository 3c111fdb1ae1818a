"""resticprofile's file, in each of its formats. Written after its documentation: neither Debian nor PyPI has it."""

from typing import Any

import pytest

from rmactors.agent.imports import formats, resticprofile
from rmactors.agent.imports.found import Found, Wrapper

YAML = """
version: "2"
global: {schedule-defaults: {lock-wait: 1h}}
profiles:
  __base:
    repository: "local:/srv/repo"
    check: {schedule: monthly}
  home:
    inherit: __base
    backup:
      source: [/home]
      schedule: ["06:00", "18:00"]
      schedule-permission: system
    retention: {schedule: "sun 3:30"}
    copy: {schedule: daily}
  plain:
    inherit: home
    backup: {schedule: {at: "Mon 05:00", lock-mode: fail}}
groups:
  all: {profiles: [home], schedules: {backup: {at: [hourly, "*:30"]}, check: {}}}
"""
TOML = """
[global]
scheduler = "crond"
[default]
repository = "x"
[default.backup]
schedule = "*:00,30"
[groups]
all = ["default"]
"""
HCL = """
"global" = { "initialize" = false }
default {
  backup = {
    "source" = ["."]
    "schedule" = ["Mon..Fri *:00,15", "Sat \\"x\\" 0,12:00"]
  }
}
"self" = { "inherit" = "default", "prune" = { "schedule" = "sun 3:30" } }
"block" "backup" {
  "schedule" = "daily"
}
block "check" { schedule = "weekly" }
"""
JSON = '{"default": {"backup": {"schedule": "daily"}, "env": {"A": "b"}}, "odd": 1, "loop": {"inherit": "loop"}}'


def found(text: str, ending: str) -> list[Found]:
    settings: Any = formats.read(text, ending)
    return list(resticprofile.found_in(settings, f"/etc/profiles{ending}", "Asia/Tokyo", Wrapper(("/rm",))))


@pytest.mark.parametrize(
    ("text", "ending", "jobs"),
    [
        (
            YAML, ".yaml",
            {
                "check@home": "monthly", "backup@home": "06,18:00", "forget@home": "sun 3:30", "check@plain": "monthly",
                "backup@plain": "Mon 05:00", "forget@plain": "sun 3:30", "backup@all": "hourly",
            },
        ),
        (TOML, ".toml", {"backup@default": "*:00,30"}),
        (TOML, ".conf", {"backup@default": "*:00,30"}),
        (
            HCL, ".hcl",
            {
                "backup@default": "Mon..Fri *:00,15", "backup@self": "Mon..Fri *:00,15", "prune@self": "sun 3:30",
                "backup@block": "daily", "check@block": "weekly",
            },
        ),
        (JSON, ".json", {"backup@default": "daily"}),
    ],
)  # fmt: skip
def test_what_is_scheduled(text: str, ending: str, jobs: dict[str, str]) -> None:
    each = found(text, ending)
    assert {one.name: one.when.on_calendar for one in each} == jobs
    assert {one.when.timezone for one in each} == {"Asia/Tokyo"}
    assert [one.job for one in each] == [f"resticprofile {name}" for name in [one.name for one in each]]


def test_the_line_goes_into_the_unit_that_it_makes_or_into_the_crontab() -> None:
    unit = next(each for each in found(YAML, ".yaml") if each.name == "backup@home")
    command = "resticprofile --config /etc/profiles.yaml run-schedule backup@home"
    assert unit.line == f"ExecStart=/rm agent exec --kind backup --schedule backup@home -- {command}"
    assert "systemctl edit resticprofile-backup@profile-home.service" in unit.how
    assert unit.place == "/etc/profiles.yaml, home.backup"
    [line] = found(TOML, ".toml")
    assert line.line.startswith("/rm agent exec --kind backup --schedule backup@default -- resticprofile")
    assert line.how.startswith("in the crontab")


def test_times_that_one_schedule_cannot_hold_are_named() -> None:
    group = next(each for each in found(YAML, ".yaml") if each.name == "backup@all")
    assert group.notes == ("one schedule has one expression; not watched by it: *:30",)
