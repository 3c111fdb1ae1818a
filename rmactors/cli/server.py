"""`rmactors server`."""

import logging
import sys
from dataclasses import fields
from typing import Any

import click

from rmactors.app import run
from rmactors.settings import Settings, SettingsError, load


def _with_settings(command: click.Command) -> click.Command:
    """A flag for every setting that is not a secret: secrets on a command line are in everyone's process list."""
    for setting in fields(Settings):
        if not setting.metadata["secret"]:
            flag = f"--{setting.name.replace('_', '-')}"
            command.params.append(click.Option([flag, setting.name], help=f"{setting.metadata['help']}"))
    return command


@click.command()
@click.option("--config", "config_file", metavar="FILE", envvar="RM_CONFIG", help="TOML file with settings")
@click.option("--log-level", default="warning", show_default=True, help="debug, info, warning or error")
def server(config_file: str | None, log_level: str, **flags: Any) -> None:
    """Run the server until SIGTERM or SIGINT. Every flag is also an environment variable RM_…."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("trio-websocket").setLevel(logging.ERROR)
    try:
        settings = load(flags, file=config_file)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(run(settings))


_with_settings(server)
