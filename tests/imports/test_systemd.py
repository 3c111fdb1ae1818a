"""systemd's timers: units as systemd reads them, spans and expressions as systemd-analyze understands them."""

import shutil
import subprocess
from collections.abc import Sequence

import pytest

from rmactors.agent.imports import systemd
from rmactors.agent.imports.found import AS_IT_IS, Found, When, Wrapper

analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(analyze is None, reason="systemd is not installed")
TIMER = "[Timer]\nOnCalendar=*-*-* 02:30\n"
SERVICE = "[Service]\nType=oneshot\nExecStart=/usr/bin/restic backup /home\n"


def found(timer: str, *service: str, name: str = "home", user: str = "") -> list[Found]:
    units: dict[str, Sequence[str]] = {f"{name}.timer": [timer], f"{name}.service": service or [SERVICE]}
    scripts = {"/opt/b.sh": "#!/bin/sh\nrestic backup /srv\n"}.get
    return systemd.found_by(
        f"{name}.timer", "Asia/Tokyo", Wrapper(("/rm",)), lambda unit: units.get(unit, []), scripts, user=user
    )


def test_a_timer_and_what_it_starts() -> None:
    [each] = found(TIMER + "RandomizedDelaySec=1h\nPersistent=true\n")
    assert (each.name, each.kind, each.place) == ("home", "backup", "home.timer")
    assert each.when == When(on_calendar="*-*-* 02:30", timezone="Asia/Tokyo", grace_seconds=3660)
    assert each.line == "ExecStart=/rm agent exec --kind backup --schedule home -- /usr/bin/restic backup /home"
    assert each.how == "by `systemctl edit home.service`, below [Service] and a line `ExecStart=`"
    assert each.notes == ()


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["[S]\n\nA=1\nA=2\n"], ["1", "2"]),
        (["[S]\nA=1\n", "[S]\nA=\nA=3\n"], ["3"]),
        (["[S]\nA = 1 \\\n  2\n# no\n;no\n B=x\n"], ["1 2"]),
        (["[S]\nA=1 \\\n# a comment in between\n 2\n"], ["1 2"]),
        (["[S]\nA=1 \\"], ["1"]),
        (["A=0\nnonsense\n[S]\nA=a=b\n"], ["a=b"]),
    ],
)
def test_units_are_read_as_systemd_does(texts: list[str], values: list[str]) -> None:
    assert [" ".join(each.split()) for each in systemd.parse(texts)["S"]["A"]] == values


@pytest.mark.parametrize(
    ("timer", "grace"),
    [
        ("", 0), ("RandomizedDelaySec=30min", 1860), ("AccuracySec=1h", 3600), ("AccuracySec=1us", 0),
        ("RandomizedDelaySec=90\nAccuracySec=500ms", 91), ("RandomizedOffsetSec=1h", 3660),
        ("RandomizedDelaySec=90d", 30 * 86_400), ("RandomizedDelaySec=nonsense", 0), ("AccuracySec=60s", 0),
    ],
)  # fmt: skip
def test_the_grace_covers_what_systemd_may_add(timer: str, grace: int) -> None:
    [each] = found(TIMER + timer)
    assert each.when.grace_seconds == grace


@pytest.mark.parametrize(
    ("timer", "when", "note"),
    [
        ("OnUnitActiveSec=12h\nOnBootSec=15min", When(every_hours=12), ""),
        ("OnUnitInactiveSec=1w", When(every_hours=168), ""),
        ("OnBootSec=15min", When(timezone="Asia/Tokyo"), "no OnCalendar= and no OnUnitActiveSec="),
        ("OnUnitActiveSec=often", When(timezone="Asia/Tokyo"), "no OnCalendar="),
        ("OnCalendar=06:00\nOnCalendar=18:00", When(on_calendar="06,18:00", timezone="Asia/Tokyo"), ""),
        ("OnCalendar=daily\nOnCalendar=\nOnCalendar=weekly", When(on_calendar="weekly", timezone="Asia/Tokyo"), ""),
        (
            "OnCalendar=Mon 06:00\nOnCalendar=18:00", When(on_calendar="Mon 06:00", timezone="Asia/Tokyo"),
            "one schedule has one expression; not watched by it: 18:00",
        ),
    ],
)  # fmt: skip
def test_when_a_timer_elapses(timer: str, when: When, note: str) -> None:
    [each] = found(f"[Timer]\n{timer}\n")
    assert each.when == when
    assert each.notes == () if not note else each.notes[0].startswith(note)
    assert ("--schedule" in each.line) is when.known


@pytest.mark.parametrize(
    ("exec_start", "line"),
    [
        ("-/usr/bin/restic backup /x", "-/rm agent exec --kind backup --schedule home -- /usr/bin/restic backup /x"),
        ("+!/bin/sh -c 'restic check'", "+!/rm agent exec --kind check --schedule home -- /bin/sh -c 'restic check'"),
        ("/opt/b.sh", "/rm agent exec --kind backup --schedule home -- /opt/b.sh"),
        ("restic backup --tag=%H /x", "/rm agent exec --kind backup --schedule home -- restic backup --tag=%H /x"),
    ],
)  # fmt: skip
def test_marks_and_specifiers_stay_what_they_are(exec_start: str, line: str) -> None:
    [each] = found(TIMER, f"[Service]\nExecStart={exec_start}\n")
    assert each.line == f"ExecStart={line}"


def test_several_commands_are_reported_one_by_one_and_stay_in_their_order() -> None:
    service = "[Service]\nExecStart=/bin/true\nExecStart=restic backup /x\nExecStart=restic forget\nExecStart='open\n"
    backup, forget = found(TIMER, service)
    assert (backup.name, forget.name) == ("home", "home forget")
    assert backup.how.endswith("with the other 3 of its ExecStart= lines in their order")
    assert found(TIMER, "[Service]\nExecStart=/bin/true\n") == []
    assert found("", "") == []


def test_a_template_its_instance_another_service_and_a_users_timer() -> None:
    [each] = found(TIMER, "[Service]\nExecStart=restic backup %i\n", name="restic@srv")
    assert each.name == "restic@srv"
    assert each.line.endswith("-- restic backup %i")
    units = {"t.timer": [TIMER + "Unit=other.service\n"], "other.service": [SERVICE]}
    [each] = systemd.found_by("t.timer", "UTC", Wrapper(), lambda unit: units.get(unit, []), {}.get, user="anna")
    assert each.place == "t.timer for other.service"
    assert each.how.startswith("by `systemctl --user edit other.service`")
    assert each.notes == ("of user anna",)


def test_what_is_reported_already_stays_and_scripts_are_named() -> None:
    [each] = found(
        TIMER, "[Service]\nExecStart=/rm/rmactors agent exec --kind backup --schedule x -- restic backup /\n"
    )
    assert (each.name, each.how) == ("x", AS_IT_IS)
    assert each.line.startswith("ExecStart=/rm/rmactors agent exec")
    [each] = found(TIMER, "[Service]\nExecStart=/opt/b.sh\n")
    assert each.notes == ("by its script /opt/b.sh",)


def test_resticprofiles_own_unit_is_known_by_its_job() -> None:
    start = "/usr/bin/resticprofile --no-prio --no-ansi --config profiles.yaml run-schedule backup@home"
    [each] = found(TIMER, f"[Service]\nExecStart={start}\n", name="resticprofile-backup@profile-home")
    assert (each.name, each.job) == ("backup@home", "resticprofile backup@home")


# ---- as systemd-analyze has it


def asked(*words: str) -> str:
    assert analyze is not None
    done = subprocess.run([analyze, *words], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@needs_systemd
@pytest.mark.parametrize(
    "text",
    [
        "90",
        "1h 30min",
        "1h30min",
        "5min 20s",
        "2.5h",
        "1w",
        "1month",
        "1 M",
        "1y 12month",
        "3days",
        "300ms20s 5day",
        "2 hr",
        "1us",
    ],
)
def test_spans_are_as_long_as_systemd_says(text: str) -> None:
    said = next(line for line in asked("timespan", text).splitlines() if "s:" in line)
    span = systemd.span(text)
    assert span is not None
    assert round(span * 1e6) == int(said.split(":")[1])


@pytest.mark.parametrize("text", ["", "x", "1 parsec", "infinity", "1h-", "-1h"])
def test_what_is_no_span(text: str) -> None:
    assert systemd.span(text) is None


@needs_systemd
@pytest.mark.parametrize(
    "expressions",
    [
        ("06:00", "18:00"),
        ("Mon..Fri 6:30", "Mon..Fri 12:30", "Mon..Fri 23:30"),
        ("*-*-01 02:00:00 UTC", "*-*-01 14:00:00 UTC"),
    ],
)
def test_one_expression_elapses_when_the_several_did(expressions: tuple[str, ...]) -> None:
    one, rest = systemd.one_calendar(expressions)
    assert rest == []

    def times(expression: str, count: int) -> set[str]:
        lines = asked(
            "calendar", f"--iterations={count}", "--base-time=2026-06-01 00:00:00 UTC", expression
        ).splitlines()
        return {line.partition(": ")[2].strip() for line in lines if "Next elapse" in line or "Iter" in line}

    assert times(one, 4 * len(expressions)) == set().union(*(times(each, 4) for each in expressions))


@pytest.mark.parametrize(
    ("expressions", "one", "rest"),
    [
        (["daily"], "daily", []), (["daily", "daily"], "daily", []), (["daily", "06:00"], "daily", ["06:00"]),
        (["06:00", "06:30"], "06:00", ["06:30"]), (["06:00 UTC", "18:00"], "06:00 UTC", ["18:00"]),
        (["06:00:30", "7:00:30"], "06,07:00:30", []),
    ],
)  # fmt: skip
def test_what_differs_in_more_than_the_hour_stays_apart(expressions: list[str], one: str, rest: list[str]) -> None:
    assert systemd.one_calendar(expressions) == (one, rest)
