"""Which program a command line starts. One row per prefix and way of writing it; each was tried with the real tool."""

import shlex

import pytest

from rmactors.agent.command_line import program_of

RESTIC = [
    "restic backup /x",
    "/opt/restic/restic backup /x",
    "restic_0.18 backup /x",
    "./restic_0.18.0_linux_amd64 backup /x",
    "restic-v0.16.4 backup /x",
    "restic.real backup /x",
    "nice restic backup /x",
    "nice -n 19 restic backup /x",
    "nice -n19 restic backup /x",
    "nice -19 restic backup /x",
    "nice --adjustment=19 restic backup /x",
    "nice --adjustment 19 restic backup /x",
    "/usr/bin/nice -n 19 /usr/bin/ionice -c 3 restic backup /x",
    "ionice -c2 -n 7 -t restic backup /x",
    "ionice --class idle restic backup /x",
    "sudo restic backup /x",
    "sudo -u backup -g backup -n restic backup /x",
    "sudo -ubackup -E -- restic backup /x",
    "sudo -nEu backup RESTIC_PASSWORD=x restic backup /x",
    "sudo --user=backup --preserve-env=HOME restic backup /x",
    "doas -n -u backup restic backup /x",
    "env A=b C=d restic backup /x",
    "env -i -u HOME A=b restic backup /x",
    "env - A=b restic backup /x",
    "env --chdir=/srv --unset HOME restic backup /x",
    "chronic -e restic backup /x",
    "timeout 5h restic backup /x",
    "timeout -s INT -k 1m --foreground 5h restic backup /x",
    "timeout --signal=TERM --kill-after 60 -- 5h restic backup /x",
    "setpriv --reuid=1000 --regid 1000 --clear-groups restic backup /x",
    "systemd-inhibit --what=shutdown --who me --why 'a backup' restic backup /x",
    "systemd-cat -t restic restic backup /x",
    "systemd-run --scope -p MemoryMax=1G --quiet restic backup /x",
    "flock -n /run/lock/restic restic backup /x",
    "flock -w 60 -E 75 /run/lock/restic nice restic backup /x",
    "flock /run/lock/restic -- restic backup /x",
    "/usr/bin/time -v -o /tmp/time restic backup /x",
    "time -f %E restic backup /x",
    "taskset -c 0,1 restic backup /x",
    "taskset 0x3 restic backup /x",
    "chrt --idle 0 restic backup /x",
    "chrt -b restic backup /x",
    "stdbuf -oL -e 0 restic backup /x",
    "unshare -n --map-root-user restic backup /x",
    "unshare -S 1000 restic backup /x",
    "nohup restic backup /x",
    "setsid -w restic backup /x",
    "prlimit --nofile=4096 restic backup /x",
    "runuser -u backup -- restic backup /x",
    "gosu backup restic backup /x",
    "chroot --userspec=1:1 /srv restic backup /x",
    "tini -g -- restic backup /x",
    "sudo -u backup env A=b nice -n 10 ionice -c3 timeout 5h restic backup /x",
]
OTHERS = [
    "rsync -a /srv/restic nas:/",
    "cp -a restic /srv",
    "/srv/restic/backup.sh",
    "tar cf - /home/restic",
    "sh -c 'restic backup /x'",
    "bash restic backup",
    "resticprofile backup",
    "autorestic backup -a",
    "rustic backup /x",
    "restic-backup /x",
    "restic_backup.sh /x",
    "restic.sh /x",
    "nice -n 10 rsync -a restic nas:/",
    "sudo -u restic rsync -a /x nas:/",
    "env RESTIC=/usr/bin/restic make backup",
    "flock /run/lock/restic rsync -a /x nas:/",
    "flock -n restic rsync -a /x nas:/",
    "flock /run/lock/x -c 'restic backup /x'",
    "timeout -s INT 5h /usr/local/bin/restic-all",
    "env -S 'restic backup /x'",
    "runuser -c 'restic backup' backup",
    "ionice -p 12 restic",
    "taskset -p 12 restic",
    "nice",
    "sudo -u restic",
    "setsid -f restic backup /x",
]


@pytest.mark.parametrize("line", RESTIC)
def test_restic_is_recognised_behind_prefixes(line: str) -> None:
    program = program_of(shlex.split(line))
    assert program.is_restic
    assert program.words[1:] == ("backup", "/x")


@pytest.mark.parametrize("line", OTHERS)
def test_a_word_that_reads_restic_makes_no_restic(line: str) -> None:
    assert not program_of(shlex.split(line)).is_restic


def test_prefixes_and_the_time_limit_are_told() -> None:
    program = program_of(shlex.split("nice timeout -k 1m 5h restic check"))
    assert (program.prefixes, program.time_limit) == (("nice", "timeout"), "5h")
    assert program_of(["restic", "check"]).time_limit is None
    assert program_of([]).words == ()


@pytest.mark.parametrize(
    ("line", "dry"),
    [
        ("restic backup --dry-run /x", True),
        ("restic backup -n /x", True),
        ("restic backup -vn /x", True),
        ("restic backup -nv /x", True),
        ("restic -r /srv -vvn backup /x", True),
        ("restic backup --dry-run=true /x", True),
        ("restic backup --dry-run=1 /x", True),
        ("restic backup -n=true /x", True),
        ("restic backup /x --dry-run", True),
        ("sudo -n nice restic forget --keep-last 3 --dry-run", True),
        ("restic forget -l 3 -n", True),
        ("restic forget -cnl 3", True),
        ("restic prune -n", True),
        ("restic backup --dry-run=false /x", False),
        ("restic backup --dry-run --dry-run=false /x", False),
        ("restic backup -n=false /x", False),
        ("restic backup /x", False),
        ("sudo -n restic backup /x", False),
        ("nice -n 19 restic backup /x", False),
        ("restic backup -- -n --dry-run", False),
        ("restic backup -e -n /x", False),
        ("restic backup -e*.nfo /x", False),
        ("restic backup -H nas /x", False),
        ("restic -o rclone.args=-n backup /x", False),
        ("restic backup --exclude -notes.txt /x", False),
        ("restic backup --exclude --dry-run /x", False),
        ("restic backup --exclude=-notes.txt -n /x", True),
        ("restic --repo /srv backup --verbose --dry-run /x", True),
        ("restic backup -v=2 /x", False),
        ("restic backup - /x", False),
        ("rsync -n /x nas:/", False),
    ],
)
def test_a_dry_run_is_seen_in_restics_own_flags(line: str, dry: bool) -> None:
    assert program_of(shlex.split(line)).is_dry_run is dry
