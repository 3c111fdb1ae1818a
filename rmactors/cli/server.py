"""`rmactors server`."""

import logging
import sys
from dataclasses import fields
from typing import Any

import click

from rmactors.app import run
from rmactors.cli.options import config_option, settings_of
from rmactors.settings import Settings


def _with_settings(command: click.Command) -> click.Command:
    """A flag for every setting that is not a secret: secrets on a command line are in everyone's process list."""
    for setting in fields(Settings):
        if not setting.metadata["secret"]:
            flag = f"--{setting.name.replace('_', '-')}"
            command.params.append(click.Option([flag, setting.name], help=f"{setting.metadata['help']}"))
    return command


@click.command()
@config_option
@click.option("--log-level", default="warning", show_default=True, help="debug, info, warning or error")
def server(config_file: str | None, log_level: str, **flags: Any) -> None:
    """Run the server until SIGTERM or SIGINT. Every flag is also an environment variable RM_…."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("trio-websocket").setLevel(logging.ERROR)
    sys.exit(run(settings_of(flags, config_file)))


_with_settings(server)
