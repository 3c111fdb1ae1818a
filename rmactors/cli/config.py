"""`rmactors config`: the server's settings, as they are in force here and now."""

import json
import os
from dataclasses import Field, fields
from typing import Any

import click

from rmactors.cli.options import config_option, file_in_use
from rmactors.common import clock
from rmactors.doctor import configuration
from rmactors.server.config.settings import Settings, SettingsError, load_with_sources, unknown_variables

MASK = "(set, not shown)"


@click.group()
def config() -> None:
    """The server's settings."""


@config.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(config_file: str | None, as_json: bool) -> None:
    """Show every setting, its value, and where the value comes from; secrets are masked.

    Reads what `rmactors server` would read here: the environment and the settings file. The exit code is 1 if a
    setting cannot be used, or a key or variable is unknown.
    """
    file = file_in_use(config_file)
    try:
        settings, sources = load_with_sources({}, os.environ, file)
    except SettingsError as error:
        raise click.ClickException("\n       ".join([str(error), *unknown_variables(os.environ)])) from None
    unusable = [finding.text for finding in configuration.look(settings, clock.now()) if finding.ok is False]
    faults = [*unknown_variables(os.environ), *unusable]
    rows = [(f.name, _shown(settings, f), sources[f.name]) for f in fields(Settings)]
    if as_json:
        found = {name: {"value": value, "source": source} for name, value, source in rows}
        click.echo(json.dumps({"file": file, "settings": found, "faults": faults}, indent=2))
    else:
        click.echo(f"settings file: {file or 'none'}\n")
        widths = [max(len(str(row[n])) for row in rows) for n in range(2)]
        for name, value, source in rows:
            click.echo(f"{name:<{widths[0]}}  {value!s:<{widths[1]}}  {source}")
    if faults:
        raise click.ClickException("\n       ".join(faults))


def _shown(settings: Settings, setting: Field[Any]) -> Any:
    """The value in force: also where it follows from others. Secrets say only whether they are set."""
    value = getattr(settings, setting.name)
    if setting.metadata["secret"]:
        return MASK if value else ""
    following = {
        "base_url": settings.public_url, "agent_url": settings.public_agent_url, "secret_key_file": settings.key_file,
        "node_name": settings.own_node_name, "node_url": settings.own_node_url,
    }  # fmt: skip
    if setting.name in following:
        return str(following[setting.name])
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
