"""The line that reports the runs of an external schedule, for a crontab and for a service."""

import shlex

import pytest

from rmactors.server.calendars.when import When
from rmactors.server.web.views.schedules import exec_lines

DAILY = When("0 2 * * *", None, None, "UTC")


def test_a_crontabs_line_begins_with_its_expression() -> None:
    lines = exec_lines("Nightly home", "backup", "home", DAILY)
    given = "rmactors agent exec --kind backup --schedule 'Nightly home' --plan home -- COMMAND"
    assert lines.crontab == f"0 2 * * * {given}"
    assert lines.service == f"[Service]\nExecStart=\nExecStart={given}"


@pytest.mark.parametrize("when", [When(None, "daily", None, "UTC"), When(None, None, 24.0, "UTC")])
def test_without_a_cron_expression_it_is_the_command_alone(when: When) -> None:
    assert exec_lines("x", "check", "", when).crontab == "rmactors agent exec --kind check --schedule x -- COMMAND"


def test_signs_that_cron_and_systemd_read_are_escaped() -> None:
    lines = exec_lines("100% $x 'y'", "check", "", DAILY)
    assert "100\\% $x" in lines.crontab
    assert "100%% $$x" in lines.service
    unescaped = lines.crontab.removeprefix("0 2 * * * ").replace("\\%", "%")
    assert shlex.split(unescaped)[6] == "100% $x 'y'"
