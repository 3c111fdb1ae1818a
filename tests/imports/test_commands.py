"""Which job of restic a command line does: one row for each way of writing it."""

import shlex

import pytest

from rmactors.agent.imports import commands
from rmactors.agent.imports.commands import Use, assignments_before, is_plain, main_use, uses, uses_of_shell

SCRIPTS = {
    "/usr/local/bin/backup.sh": (
        '#!/bin/sh\nset -e\n. /etc/env\nif ! "$RESTIC" \\\n  backup /srv; then exit 1; fi\nrestic forget\n'
    ),
    "nightly": '#!/bin/bash\nfor d in /a /b; do restic -r $REPO backup "$d"; done\n',
    "/opt/loop.sh": "/opt/loop.sh\n",
    "/opt/nothing.sh": "#!/bin/sh\necho 'restic backup'\nrestic copy\n",
    "/opt/profile.sh": "#!/bin/sh\nresticprofile home.backup\n",
}


def shown(found: list[Use]) -> list[str]:
    return [
        " ".join(filter(None, (use.kind, f"[{use.name}]", use.script, use.job, "reported" * use.reported)))
        for use in found
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        # restic itself
        ("restic backup /home", ["backup [backup /home]"]),
        ("restic -r /backup -p /check backup /home --tag x", ["backup [backup /home]"]),
        ("restic --repo=/backup --verbose forget --prune", ["forget [forget]"]),
        ("/usr/bin/nice -n 19 ionice -c3 /opt/restic-0.18 check", ["check [check]"]),
        ("sudo -u backup restic prune", ["prune [prune]"]),
        ("restic snapshots", ["snapshots [snapshots]"]),
        ("restic copy --from-repo x", []),
        ("restic --version", []),
        ("restic", []),
        ("RESTIC_PASSWORD=x B='y z' restic backup ~/docs", ["backup [backup ~/docs]"]),
        ("$RESTIC backup /x; ${RESTIC_BIN} check", ["backup [backup /x]", "check [check]"]),
        ("cd /x && . ./env && restic backup . && restic forget", ["backup [backup]", "forget [forget]"]),
        ("test -x /usr/bin/restic || exit 0; ( restic backup /x ) >/dev/null 2>&1", ["backup [backup /x]"]),
        ("restic backup /x 2>&1 | logger -t restic", ["backup [backup /x]"]),
        ("if restic cat config; then restic backup /x; fi", ["backup [backup /x]"]),
        ("sh -c 'restic backup /x'", ["backup [backup /x]"]),
        ("/bin/bash -ec 'cd /; restic unlock; restic backup /x'", ["unlock [unlock]", "backup [backup /x]"]),
        ("bash -c", []),
        ("bash", []),
        ("bash --norc -x /usr/local/bin/backup.sh", ["backup [backup] /usr/local/bin/backup.sh"]),
        # what only names it
        ("echo restic backup", []),
        ("rsync /etc/restic /x", []),
        ("# restic backup /x", []),
        ("restic backup 'open", []),
        ("", []),
        # scripts
        ("/usr/local/bin/backup.sh", ["backup [backup] /usr/local/bin/backup.sh"]),
        ("nightly --quiet", ["backup [nightly] nightly"]),
        ("/opt/loop.sh", []),
        ("/opt/nothing.sh", []),
        ("/opt/profile.sh", ["backup [backup@home] /opt/profile.sh resticprofile backup@home"]),
        # resticprofile
        ("resticprofile backup", ["backup [backup@default] resticprofile backup@default"]),
        ("resticprofile -c /x.yaml --name home backup", ["backup [backup@home] resticprofile backup@home"]),
        ("resticprofile --name=home check", ["check [check@home] resticprofile check@home"]),
        ("resticprofile home.forget", ["forget [forget@home] resticprofile forget@home"]),
        (
            "cd /w && /usr/bin/resticprofile --no-ansi --config c.yaml run-schedule backup@home",
            ["backup [backup@home] resticprofile backup@home"],
        ),
        ("resticprofile run-schedule copy@home", []),
        ("resticprofile run-schedule", []),
        ("resticprofile --name", []),
        # autorestic
        ("autorestic -c /x.yml --ci cron", ["backup [autorestic cron] autorestic cron"]),
        ("autorestic backup -a", ["backup [backup all]"]),
        ("autorestic --config=/x backup -l home --location=etc", ["backup [home etc]"]),
        ("autorestic forget -l home", ["forget [forget home]"]),
        ("autorestic backup -l", ["backup [backup all]"]),
        ("autorestic info", []),
        # reported already
        ("rmactors agent exec --kind backup --schedule home -- restic backup /home", ["backup [home] reported"]),
        ("rmactors agent exec --kind backup --schedule n -- nightly", ["backup [n] reported"]),
        ("/usr/bin/python3 -m rmactors agent exec --kind check -- restic check", ["check [check] reported"]),
        ("rmactors agent exec --kind backup --schedule x -- pg_dump db", ["backup [x] reported"]),
        ("rmactors agent exec --kind backup -- pg_dump db", ["backup [backup] reported"]),
        ("rmactors agent exec --schedule x -- pg_dump db", []),
        ("rmactors agent run", []),
        (
            "rmactors agent exec --kind backup --schedule p -- resticprofile backup",
            ["backup [p] resticprofile backup@default reported"],
        ),
    ],
)
def test_the_jobs_of_a_command_line(line: str, found: list[str]) -> None:
    assert shown(uses_of_shell(line, SCRIPTS.get)) == found


def test_without_scripts_none_is_read() -> None:
    assert uses(["/usr/local/bin/backup.sh"]) == []
    assert uses([]) == []


def test_one_that_runs_itself_ends() -> None:
    assert uses(["/opt/loop.sh"], {"/opt/loop.sh": "#!/bin/sh\n/opt/loop.sh; restic backup /x\n"}.get) == [
        Use("backup", "loop", "/opt/loop.sh")
    ]


def test_of_several_jobs_the_backup_is_reported_and_the_others_are_named() -> None:
    found = uses_of_shell("restic unlock; restic check; restic backup /x")
    main = main_use(found)
    assert main is not None
    assert main.kind == "backup"
    assert commands.beside(main, found) == ["it does check and unlock as well: a run is reported as one job"]
    assert commands.beside(main, [main]) == []
    assert main_use([]) is None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("restic backup /x", True), ("restic backup /x >> /var/log/x 2>&1 < /dev/null", True),
        ("restic backup /x &> /dev/null", True), ('restic backup "$HOME" --tag "a b"', True),
        ("cd /x && restic backup .", False), ("restic backup /x | logger", False), ("restic backup /x &", False),
        ("if true; then restic backup; fi", False), ("! restic backup /x", False), ("'open", False), ("", False),
    ],
)  # fmt: skip
def test_before_one_command_exec_can_stand_as_it_is(text: str, plain: bool) -> None:
    assert is_plain(text) is plain


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A=1 B='x y' C=\"z\" restic", ("A=1 B='x y' C=\"z\" ", "restic")), ("restic A=1", ("", "restic A=1")),
        ("A=1", ("", "A=1")), ("A= restic", ("A= ", "restic")),
    ],
)  # fmt: skip
def test_variables_before_a_command_stay_before_it(text: str, parts: tuple[str, str]) -> None:
    assert assignments_before(text) == parts
    assert shlex.split("".join(parts)) == shlex.split(text)
