"""Lines of an anacrontab, as Debian's anacron 2.3 and cronie's read them."""

import pytest

from rmactors.agent.imports import anacron
from rmactors.agent.imports.crontab import BY_SYSTEMD
from rmactors.agent.imports.found import AS_IT_IS, Found, When, Wrapper

TABLE = """\
SHELL=/bin/sh
START_HOURS_RANGE = 3-22
# period delay name command
1\t5\tcron.daily\trun-parts --report /etc/cron.daily
7\t10\tcron.weekly\trun-parts --report /etc/cron.weekly
@monthly\t15\tcron.monthly\trun-parts --report /etc/cron.monthly
x\t15\tcron.x\trun-parts --report /etc/cron.x
@weekly 15 more run-parts /etc/cron.more
1 5 job /usr/bin/other
"""


def found(line: str, *, debian: bool = True) -> list[Found]:
    return list(anacron.found_in(line, "/etc/anacrontab", Wrapper(), lambda _: None, debian=debian))


def test_the_folders_of_run_parts_and_how_often_they_are_due() -> None:
    folders = list(anacron.folders(TABLE, "/etc/anacrontab", debian=True))
    assert [(each.path, each.when.every_hours, each.by) for each in folders] == [
        ("/etc/cron.daily", 24, "/etc/anacrontab, line 4"), ("/etc/cron.weekly", 168, "/etc/anacrontab, line 5"),
        ("/etc/cron.monthly", 744, "/etc/anacrontab, line 6"), ("/etc/cron.more", 168, "/etc/anacrontab, line 8"),
    ]  # fmt: skip
    assert [each.notes for each in folders[:3]] == [()] * 3
    assert "does not know @weekly" in folders[3].notes[0]


def test_a_command_is_an_interval_and_keeps_what_stands_before_it() -> None:
    [each] = found("1  10\thome  nice restic backup /home")
    assert (each.name, each.kind, each.when.every_hours) == ("backup /home", "backup", 24)
    assert each.place == "/etc/anacrontab, line 1"
    assert each.line == (
        "1  10\thome  rmactors agent exec --kind backup --schedule 'backup /home' -- nice restic backup /home"
    )
    assert each.notes == ()


def test_a_line_of_several_commands_is_wrapped_as_a_whole_and_a_percent_sign_is_one() -> None:
    [each] = found("7 0 all cd /srv && restic backup --tag $(date +%F) .")
    assert each.line.endswith(" -- sh -c 'cd /srv && restic backup --tag $(date +%F) .'")


def test_what_is_continued_is_one_line_with_the_number_of_the_first() -> None:
    [first, second] = found("A=b\n7 0 all restic \\\n  backup \\\n /srv\n1 0 check restic check\n")
    assert (first.place, second.place) == ("/etc/anacrontab, line 2", "/etc/anacrontab, line 5")
    assert first.name == "backup /srv"
    assert first.line.endswith(" -- restic    backup   /srv")


def test_what_is_reported_already_stays_as_it_is() -> None:
    line = "1 5 home rmactors agent exec --kind backup --schedule home -- restic backup /home"
    [each] = found(line)
    assert (each.name, each.line, each.how) == ("home", line, AS_IT_IS)


@pytest.mark.parametrize(
    ("period", "debian", "hours", "note"),
    [
        ("@monthly", True, 744, ""),
        ("@yearly", True, 8784, ""),
        ("@weekly", True, 168, "Debian's anacron does not know @weekly: it runs this whenever it is started; write 7"),
        ("@daily", True, 24, "Debian's anacron does not know @daily: it runs this whenever it is started; write 1"),
        ("@weekly", False, 168, ""),
        ("@annually", False, None, "no schedule can watch that"),
        ("@midnight", True, None, "no schedule can watch that"),
        ("0", True, None, "no schedule can watch that"),
    ],
)
def test_names_of_periods_and_who_knows_them(period: str, debian: bool, hours: float | None, note: str) -> None:
    [each] = found(f"{period} 5 home restic backup /home", debian=debian)
    assert each.when.every_hours == hours
    assert (each.schedule is None) == (hours is None)
    assert len(each.notes) == (1 if note else 0)
    assert note in "".join(each.notes)


def test_where_systemd_cron_runs_it_the_timer_says_when_and_a_line_without_one_never_runs() -> None:
    made = {"10 5 ten restic backup /home": When(on_calendar="*-*-1/10 0:5:0", timezone="Europe/Berlin")}
    table = "10 5 ten  restic backup /home\n@weekly 5 w restic check\n"
    ten, weekly = anacron.found_in(table, "/etc/anacrontab", Wrapper(), lambda _: None, debian=True, by_systemd=made)
    assert (ten.when.on_calendar, ten.when.timezone) == ("*-*-1/10 0:5:0", "Europe/Berlin")
    assert ten.notes == (BY_SYSTEMD,)
    assert (weekly.when.every_hours, len(weekly.notes)) == (168, 1)
    assert weekly.notes[0].startswith("it never runs: systemd-cron made no timer of this line")
