"""Where the files are: a machine's folders, made below a folder of the test; timers are enabled by systemctl itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rmactors.agent.imports.found import Found, Wrapper, each_once
from rmactors.agent.imports.host import SOURCES, Host

needs_systemctl = pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemd is not installed")
UNITS = {
    "etc/systemd/system/restic@.timer": (
        "[Timer]\nOnCalendar=daily\nRandomizedDelaySec=2h\n[Install]\nWantedBy=timers.target\n"
    ),
    "etc/systemd/system/restic@.service": "[Service]\nExecStart=/usr/bin/restic backup /srv/%i\n",
    "usr/lib/systemd/system/vendor.timer": "[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n",
    "usr/lib/systemd/system/vendor.service": "[Service]\nExecStart=/usr/bin/restic check\n",
    "etc/systemd/system/vendor.timer.d/override.conf": "[Timer]\nOnCalendar=\nOnCalendar=*-*-* 05:00\n",
    "etc/systemd/system/off.timer": "[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n",
    "etc/systemd/system/off.service": "[Service]\nExecStart=/usr/bin/restic prune\n",
}
TIMER = "[Timer]\nOnCalendar=weekly\n[Install]\nWantedBy=timers.target\n"


def put(root: Path, files: dict[str, str], mode: int = 0o644) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


def looked(root: Path, *sources: str, file: Path | None = None) -> tuple[list[Found], list[str]]:
    host = Host(Wrapper(("/rm",)), root, {})
    found = each_once(each for source in sources or SOURCES for each in host.find(source, file))
    return found, host.troubles


def systemctl(root: Path, *words: str) -> None:
    subprocess.run(["systemctl", f"--root={root}", *words], check=True, capture_output=True, timeout=60)


@needs_systemctl
def test_timers_that_systemctl_enabled(tmp_path: Path) -> None:
    put(tmp_path, UNITS)
    systemctl(tmp_path, "enable", "restic@home.timer", "restic@db.timer", "vendor.timer")
    found, troubles = looked(tmp_path, "systemd")
    assert troubles == []
    assert [(each.name, each.kind, each.when.on_calendar, each.when.grace_seconds) for each in found] == [
        ("restic@db", "backup", "daily", 7260), ("restic@home", "backup", "daily", 7260),
        ("vendor", "check", "*-*-* 05:00", 0),
    ]  # fmt: skip
    systemctl(tmp_path, "disable", "restic@db.timer")
    systemctl(tmp_path, "mask", "vendor.timer")
    assert [each.name for each in looked(tmp_path, "systemd")[0]] == ["restic@home"]


def test_drop_ins_are_read_as_systemd_orders_them(tmp_path: Path) -> None:
    put(
        tmp_path,
        UNITS
        | {
            "etc/systemd/system/timers.target.wants/restic@home.timer": "",
            "usr/lib/systemd/system/restic@home.timer.d/20.conf": "[Timer]\nRandomizedDelaySec=1h\n",
            "etc/systemd/system/restic@home.timer.d/20.conf": "[Timer]\nRandomizedDelaySec=0\n",
            "etc/systemd/system/restic@.timer.d/10.conf": "[Timer]\nRandomizedDelaySec=3h\n",
            "run/systemd/system/timer.d/30.conf": "[Timer]\nAccuracySec=10min\n",
        },
    )
    [each] = looked(tmp_path, "systemd")[0]
    assert each.when.grace_seconds == 600


def test_timers_of_users(tmp_path: Path) -> None:
    own = "home/anna/.config/systemd/user"
    put(tmp_path, {f"{own}/x.timer": TIMER, f"{own}/x.service": "[Service]\nExecStart=restic backup /home\n"})
    (tmp_path / own / "timers.target.wants").mkdir()
    (tmp_path / own / "timers.target.wants/x.timer").symlink_to(tmp_path / own / "x.timer")
    [each] = looked(tmp_path, "systemd")[0]
    assert each.how.startswith("by `systemctl --user edit x.service`")
    assert each.notes == ("of user anna",)


def test_crontabs_of_users_of_the_system_and_of_packages(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "var/spool/cron/crontabs/anna": "@daily backup\n",
            "etc/crontab": "25 6 * * * root test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily\n"
            "0 1 * * * root restic prune\n",
            "etc/cron.d/restic": "0 2 * * * root restic check\n",
            "etc/cron.d/restic.dpkg-old": "0 2 * * * root restic forget\n",
        },
    )
    put(
        tmp_path,
        {
            "usr/local/bin/backup": "#!/bin/sh\nrestic backup /home\n",
            "etc/cron.daily/backup": "#!/bin/sh\nrestic backup /srv\n",
            "etc/cron.daily/backup.bak": "#!/bin/sh\nrestic backup /srv\n",
        },
        0o755,
    )
    put(tmp_path, {"etc/cron.daily/off": "#!/bin/sh\nrestic backup /srv\n"})
    found, troubles = looked(tmp_path, "crontab")
    assert troubles == []
    assert [(each.name, each.when.cron, each.place) for each in found] == [
        ("backup", "@daily", "/var/spool/cron/crontabs/anna, line 1"),
        ("prune", "0 1 * * *", "/etc/crontab, line 2"),
        ("check", "0 2 * * *", "/etc/cron.d/restic, line 1"),
        ("cron.daily/backup", "25 6 * * *", "/etc/cron.daily/backup"),
    ]
    put(
        tmp_path,
        {"usr/sbin/anacron": "", "etc/anacrontab": "1 5 cron.daily run-parts --report /etc/cron.daily\n"},
        0o755,
    )
    [*_, last] = looked(tmp_path, "crontab")[0]
    assert (last.name, last.when.every_hours) == ("cron.daily/backup", 24)


def test_an_anacrontab_counts_where_there_is_anacron_and_is_read_as_what_it_is_by_itself(tmp_path: Path) -> None:
    table = "7 5 job restic backup /home\n@daily 5 cron.daily run-parts /etc/cron.daily\n"
    put(tmp_path, {"etc/anacrontab": table, "etc/debian_version": "13.2\n"})
    put(tmp_path, {"etc/cron.daily/backup": "#!/bin/sh\nrestic backup /srv\n"}, 0o755)
    assert looked(tmp_path, "crontab") == ([], [])
    put(tmp_path, {"usr/sbin/anacron": ""}, 0o755)
    job, script = looked(tmp_path, "crontab")[0]
    assert (job.name, job.when.every_hours, job.place) == ("backup /home", 168, "/etc/anacrontab, line 1")
    assert (script.name, script.when.every_hours) == ("cron.daily/backup", 24)
    assert "does not know @daily" in " ".join(script.notes)
    (tmp_path / "etc/debian_version").unlink()
    _, script = looked(tmp_path, "crontab")[0]
    assert script.notes == ("started by /etc/anacrontab, line 2",)
    [job] = looked(tmp_path, "crontab", file=tmp_path / "etc/anacrontab")[0]
    assert (job.name, job.when.every_hours) == ("backup /home", 168)


def test_where_systemd_cron_runs_crontabs_its_timers_say_when(tmp_path: Path) -> None:
    def timer(description: str, source: str, when: str) -> str:
        return f"[Unit]\nDescription=[Timer] {description}\nSourcePath={source}\n[Timer]\nOnCalendar={when}\n"

    put(
        tmp_path,
        {
            "var/spool/cron/crontabs/anna": "@weekly restic backup\n",
            "etc/crontab": "25 6 * * * root run-parts --report /etc/cron.daily\n",
            "etc/cron.d/quarterly": "0 2 1 jan,apr,jul,oct * root restic backup /srv\n",
            "etc/anacrontab": "10 5 ten restic check\n",
            "run/systemd/generator/cron-anacron-ten-1.timer":
                timer('"10 5 ten restic check"', "/etc/anacrontab", "*-*-1/10 0:5:0"),
            "run/systemd/generator/cron-anna-anna-1.timer":
                timer('"@weekly restic backup"', "/var/spool/cron/crontabs/anna", "weekly"),
            "run/systemd/generator/cron-daily-backup.timer":
                timer("/etc/cron.daily/backup", "/etc/cron.daily/backup", "*-*-* 6:10:0"),
        },
    )  # fmt: skip
    put(tmp_path, {"etc/cron.daily/backup": "#!/bin/sh\nrestic backup /home\n"}, 0o755)
    found, troubles = looked(tmp_path, "crontab")
    assert troubles == []
    assert [(each.name, each.when.on_calendar, each.when.cron) for each in found] == [
        ("backup", "weekly", None), ("backup /srv", None, "0 2 1 jan,apr,jul,oct *"),
        ("check", "*-*-1/10 0:5:0", None), ("cron.daily/backup", "*-*-* 6:10:0", None),
    ]  # fmt: skip
    assert "it never runs" in found[1].notes[0]
    assert found[3].notes == ("started by systemd-cron",)
    (named,) = looked(tmp_path, "crontab", file=tmp_path / "var/spool/cron/crontabs/anna")[0]
    assert (named.when.cron, named.notes) == ("@weekly", ()), "nobody knows who runs a file that is named"


def test_files_of_other_tools_and_what_they_share_with_timers(tmp_path: Path) -> None:
    start = "/usr/bin/resticprofile --no-prio --no-ansi --config profiles.yaml run-schedule backup@home"
    unit = "resticprofile-backup@profile-home"
    put(
        tmp_path,
        {
            "etc/resticprofile/profiles.yaml": (
                "home: {backup: {schedule: daily}, check: {schedule: weekly}}\nincludes: [x]\n"
            ),
            "home/anna/.config/resticprofile/profiles.toml": "broken\n",
            "root/.autorestic.yml": "version: 2\nlocations: {docs: {from: /x, to: y, cron: '@daily'}}\n",
            "home/anna/.config/backrest/config.json": '{"plans": [{"id": "b", "schedule": {"maxFrequencyHours": 3}}]}',
            f"etc/systemd/system/{unit}.timer": "[Timer]\nOnCalendar=daily\nUnit=" + unit + ".service\n",
            f"etc/systemd/system/{unit}.service": f"[Service]\nExecStart={start}\n",
            f"etc/systemd/system/timers.target.wants/{unit}.timer": "",
        },
    )
    found, troubles = looked(tmp_path)
    assert [(each.source, each.name) for each in found] == [
        ("systemd", "backup@home"), ("resticprofile", "check@home"), ("autorestic", "docs"), ("backrest", "b"),
    ]  # fmt: skip
    assert troubles == [
        "/home/anna/.config/resticprofile/profiles.toml cannot be read: Expected '=' after a key in a key/value pair"
        " (at line 1, column 7)",
        "/etc/resticprofile/profiles.yaml includes others, which are not read: name them with --file",
    ]


@pytest.mark.parametrize(
    ("source", "name", "text", "found"),
    [
        ("crontab", "tab", "@daily restic check\n", "check"),
        ("resticprofile", "p.json", '{"p": {"prune": {"schedule": "daily"}}}', "prune@p"),
        ("autorestic", "a.yaml", "locations: {l: {cron: '@daily'}}", "l"),
        ("backrest", "b.json", '{"plans": [{"id": "b", "schedule": {"maxFrequencyHours": 3}}]}', "b"),
    ],
)
def test_a_file_that_is_named_is_read_in_place_of_the_usual_ones(
    tmp_path: Path, source: str, name: str, text: str, found: str
) -> None:
    put(tmp_path, {name: text, "etc/crontab": "@daily root restic prune\n"})
    assert [each.name for each in looked(tmp_path, source, file=tmp_path / name)[0]] == [found]


def test_a_timer_that_is_named_is_read_with_what_lies_beside_it(tmp_path: Path) -> None:
    put(tmp_path, {"x.timer": TIMER, "x.service": "[Service]\nExecStart=restic check\n"})
    assert [each.name for each in looked(tmp_path, "systemd", file=tmp_path / "x.timer")[0]] == ["x"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    put(tmp_path, {"var/spool/cron/crontabs/anna": "@daily restic check\n"})
    (tmp_path / "var/spool/cron/crontabs").chmod(0o311)
    found, troubles = looked(tmp_path, "crontab")
    assert found == []
    assert "so not other users' crontabs: run it as root" in troubles[0]
