"""`rmactors export` and `rmactors apply`: a server's configuration as a file, over the API."""

import json
import os
import sys
from pathlib import Path

import click

from rmactors.cli.remote import NotAllowed, Refused, Remote, remote_command
from rmactors.client.configuration import applying, reading, server, writing
from rmactors.client.configuration.applying import Plan
from rmactors.client.configuration.comparing import Change
from rmactors.client.configuration.secret_values import Secrets
from rmactors.client.configuration.tables import CHANNELS, Values
from rmactors.client.connection import ApiError, Unreachable
from rmactors.common.text import one_line

DIFFERENCES = 3
"""Exit code of `apply --dry-run` where something differs."""
_COLOURS = {"+": "green", "~": "yellow", "-": "red"}
_commands = click.Group()


@remote_command(_commands, "export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-")
def export(remote: Remote, file: Path) -> None:
    """Write the server's configuration to FILE, as TOML.  [standard output]

    Channels, policies, schedules, silences, users and the hosts' tags, in the form that `rmactors apply` takes. Secrets
    and passwords are not in it: in place of a secret stands the environment variable that `apply` takes it from.
    """
    current = server.look(remote.api, ())
    found = {table: [each.values for each in current.own(table)] for table in current.kept}
    found[CHANNELS.name] = writing.with_placeholders(found[CHANNELS.name])
    notes = [f"{name} are left out: this token may not see them" for name in current.not_told]
    if current.browsers:
        notes.append(f"channels of browsers are left out ({current.browsers}): each browser makes its own")
    notes += current.broken
    for note in notes:
        click.echo(one_line(f"note: {note}"), err=True)
    text = json.dumps(found, indent=2) + "\n" if remote.as_json else writing.text(found, _head(remote, notes))
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None


def _head(remote: Remote, notes: list[str]) -> list[str]:
    return [
        one_line(f"Configuration of restic-manager at {remote.api.base_url}"),
        "Compare: rmactors apply --dry-run FILE. Apply: rmactors apply FILE.",
        *(one_line(f"Note: {note}.") for note in notes),
    ]


@remote_command(_commands, "apply")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--dry-run", is_flag=True, help=f"Change nothing; exit with {DIFFERENCES} if something differs.")
@click.option(
    "--prune", is_flag=True, help="Delete what the file does not name; never hosts, nor the token's own user."
)
def apply(remote: Remote, file: Path, dry_run: bool, prune: bool) -> None:
    """Make the server's configuration like FILE (`-`: standard input), as `rmactors export` writes it.

    Prints what differs, then changes it. The whole file is checked first. What it does not name stays, unless --prune
    is given. Run it again after a break: what is done already is left alone.
    """
    try:
        plan = _planned(remote, file, prune=prune)
        _tell(remote, plan)
        if dry_run:
            sys.exit(DIFFERENCES if plan.changes else 0)
        if beyond := plan.beyond_role:
            needed = f"needs the role {beyond[0].role}, and this token is {plan.role}"
            raise NotAllowed(f"nothing was changed: {beyond[0].head!r} {needed}")
        _carry_out(remote, plan)
    except Unreachable as error:  # 3 says something else here
        raise Refused(str(error)) from None


def _planned(remote: Remote, file: Path, *, prune: bool) -> Plan:
    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    folder = Path() if str(file) == "-" else file.parent
    try:
        return applying.plan(remote.api, reading.read(text), Secrets(os.environ, folder), prune=prune)
    except reading.Faulty as error:
        for fault in error.faults:
            click.echo(one_line(f"Error: {fault.text(name)}"), err=True)
        raise Refused(f"nothing was changed: {len(error.faults)} faults in {name}" if len(error.faults) > 1
                      else "nothing was changed") from None  # fmt: skip


def _tell(remote: Remote, plan: Plan) -> None:
    for note in plan.notes:
        click.echo(one_line(f"note: {note}"), err=True)
    if remote.as_json:
        click.echo(json.dumps([_as_json(change) for change in plan.changes], indent=2))
        return
    for change in plan.changes:
        click.echo(_coloured(change.head, change.sign))
        for line in change.lines:
            click.echo(f"    {one_line(line)}")
    counts = {sign: sum(change.sign == sign for change in plan.changes) for sign in _COLOURS}
    if not plan.changes:
        click.echo("nothing differs")
    else:
        click.echo(f"{counts['+']} to add, {counts['~']} to change, {counts['-']} to delete")


def _as_json(change: Change) -> Values:
    return {"change": change.sign, "kind": change.table.one, "name": change.title, "details": list(change.lines)}


def _coloured(text: str, sign: str) -> str:
    """In colour on a terminal only, and not where NO_COLOR is set."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=_COLOURS[sign])


def _carry_out(remote: Remote, plan: Plan) -> None:
    done: list[Change] = []
    try:
        applying.carry_out(remote.api, plan.changes, done.append)
    except (ApiError, KeyboardInterrupt) as error:  # Ctrl-C too can come while the server is at it
        if left := plan.changes[len(done) :]:
            known = isinstance(error, ApiError) and not isinstance(error, Unreachable)
            last = "not this one" if known else "whether this one was is not known"
            click.echo(
                one_line(f"{len(done)} of {len(plan.changes)} changes were made; {last}: {left[0].head}"), err=True
            )
            click.echo("Run it again to make the others: what is done already is left alone.", err=True)
        raise
    for change in done:
        for note in change.notes:
            click.echo(one_line(f"note: {note}"), err=True)
    if done and not remote.as_json:
        click.echo(f"done: {len(done)} change{'' if len(done) == 1 else 's'}")


__all__ = ["apply", "export"]
