"""`rmactors agent import`: what runs restic on this host already, and how to have it watched. Changes no file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rmactors.agent.imports.found import Found, Wrapper, each_once
from rmactors.agent.imports.host import SOURCES, Host
from rmactors.cli import units
from rmactors.cli.remote import Refused, Remote, connected, server_options
from rmactors.client.connection import ApiError
from rmactors.common.text import one_line


@click.command("import")
@click.argument("sources", nargs=-1, metavar="[SOURCE]…")
@click.option(
    "--file", type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Read this file instead of the usual places; with one source.",
)  # fmt: skip
@click.option("--write", is_flag=True, help="Create the schedules on the server. Nothing on this host is changed.")
@server_options
@click.option("--state-dir", type=click.Path(path_type=Path), help="The agent's: it says which host this is.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON objects.")
def import_command(
    sources: tuple[str, ...], file: Path | None, write: bool, server: str, token_file: str | None,
    state_dir: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Find what runs restic on this host: in crontabs, systemd's timers, resticprofile, autorestic and Backrest.

    SOURCE is crontab, systemd, resticprofile, autorestic or backrest; without one, all are looked at.

    Prints for each the line that reports it, to be put in place of the one that runs now, and the schedule that watches
    it. With --write the schedules are created, by an API token of the role operator; one whose name is there already
    stays as it is.
    """
    chosen = _chosen(sources, file)
    options = ["--state-dir", str(state_dir.absolute())] if state_dir is not None else []
    host = Host(Wrapper(units.own_command(), options))
    found = each_once(each for source in chosen for each in host.find(source, file))
    for trouble in dict.fromkeys(host.troubles):
        click.echo(one_line(f"note: {trouble}"), err=True)
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in found], indent=2))
    else:
        click.echo("\n\n".join(map(_words, found)) if found else "nothing was found that runs restic")
    if write and found:
        host_id = _host_id(state_dir)
        with connected(server, token_file, as_json=as_json) as remote:
            _write(remote, host_id, found)
    elif found and not as_json:
        click.echo("\nWith --write, the schedules are created on the server. The lines are yours to put in place.")


def _chosen(sources: Sequence[str], file: Path | None) -> list[str]:
    unknown = [each for each in sources if each not in SOURCES]
    if unknown:
        raise click.UsageError(f"{unknown[0]!r} is none of {', '.join(SOURCES)}")
    if file is not None and len(sources) != 1:
        raise click.UsageError("--file needs one source, which says how to read it")
    return [each for each in SOURCES if not sources or each in sources]


def _words(each: Found) -> str:
    """A find as a block of lines."""
    problem = f" (the server would not take it: {each.when.problem})" if each.when.problem else ""
    lines = [
        one_line(f"{each.name} ({each.kind}), in {each.place}"),
        one_line(f"  schedule  {each.when.text}{problem}"),
        one_line(f"  exec      {each.line}"),
        one_line(f"            {each.how}"),
        *(one_line(f"  note      {note}") for note in each.notes),
    ]
    return "\n".join(line for line in lines if line.strip())


def _as_json(each: Found) -> dict[str, Any]:
    return {
        "source": each.source, "name": each.name, "kind": each.kind, "place": each.place, "exec": each.line,
        "how": each.how, "schedule": each.schedule, "notes": [*each.notes, *filter(None, [each.when.problem])],
    }  # fmt: skip


def _host_id(state_dir: Path | None) -> str:
    from rmactors.agent.state_dir import StateDir, StateError, default_dir

    try:
        return StateDir(state_dir or default_dir()).credential().host_id
    except StateError as error:
        raise Refused(f"which host this is says the agent's credential: {error}") from None


def _write(remote: Remote, host_id: str, found: Sequence[Found]) -> None:
    """Create what is not there. Raises Refused if one could not be created."""
    try:
        there = remote.api.call("GET", f"/api/hosts/{host_id}")["schedules"]
    except ApiError as error:
        if error.status == 404:
            raise Refused("this server does not know this host: is it the one that the agent reports to?") from None
        raise
    by_name = {schedule["name"].casefold(): schedule for schedule in there}
    refused = 0
    for each in found:
        said, went_wrong = _create(remote, host_id, each, by_name.get(each.name.casefold()))
        refused += went_wrong
        click.echo(one_line(f"{each.name}: {said}"), err=remote.as_json)
    if refused:
        raise Refused(f"{refused} of {len(found)} could not be created")


def _create(remote: Remote, host_id: str, each: Found, there: dict[str, Any] | None) -> tuple[str, bool]:
    """What was done about one, and whether that went wrong."""
    wanted = each.schedule
    if wanted is None:
        return f"no schedule: {each.when.problem or 'no time is known'}", False
    if there is not None:
        different = [name for name, value in wanted.items() if name != "name" and there.get(name) != value]
        if not different:
            return "is there already", False
        return f"is there already, and stays as it is; different: {', '.join(different)}", False
    try:
        remote.api.call("POST", f"/api/hosts/{host_id}/schedules", wanted)
    except ApiError as error:
        if error.status == 422:
            return f"not created: {error}", True
        raise
    return "created", False
