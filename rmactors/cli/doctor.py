"""`rmactors doctor`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click

from rmactors.cli.options import settings_options
from rmactors.common import clock, zones
from rmactors.common.findings import Finding, verdict, zone_data
from rmactors.doctor import configuration, database, machine, ports
from rmactors.server.config import data_dir
from rmactors.server.config.settings import Settings, unknown_variables


@click.command()
@click.option("--full", is_flag=True, help="Compare every index with its table too; takes minutes on a large database.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@settings_options
def doctor(settings: Settings, full: bool, as_json: bool) -> None:
    """Look for what is wrong with this server, beside it or without it, and say what to do. Changes nothing.

    Run it as the server's user with the server's settings. The exit code is 1 where a fault was found.
    """
    found: list[Finding] = []
    for finding in _look(settings, full=full):
        if finding in found:
            continue  # two of them met the same trouble
        found.append(finding)
        if not as_json:
            click.echo(finding.line)
    faults = verdict(found)
    if as_json:
        words = {True: "ok", False: "fault", None: "note"}
        click.echo(json.dumps([{"result": words[finding.ok], "text": finding.text} for finding in found], indent=2))
    if faults:
        raise click.ClickException(faults)


def _look(settings: Settings, *, full: bool) -> Iterator[Finding]:
    now = clock.now()
    for trouble in unknown_variables(os.environ):
        yield Finding(False, trouble)
    yield from configuration.look(settings, now)
    yield zone_data(zones.ours().data)
    yield machine.data_dir(settings)
    if not Path(settings.data_dir).is_dir():
        yield from ports.look(settings, server_runs=False)
        return
    yield machine.disk(settings)
    yield from machine.key(settings)
    yield from database.look(settings, now, full=full)
    try:
        runs = data_dir.server_runs(Path(settings.data_dir))
    except OSError as error:
        yield Finding(False, f"whether a server runs cannot be seen: {error}")
        return
    yield Finding(None, "a server runs on this data dir" if runs else "no server runs on this data dir")
    yield from ports.look(settings, runs)
