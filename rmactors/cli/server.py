"""`rmactors server`: runs the server, and installs it as a service."""

import logging
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from rmactors.cli import units
from rmactors.cli.options import config_option, file_in_use, settings_of
from rmactors.common import logs
from rmactors.server.config.settings import Settings, SettingsError, load_with_sources, unknown_variables
from rmactors.server.main import run
from rmactors.systemd import server as unit

_log = logging.getLogger(__name__)


def _with_settings(command: click.Command) -> click.Command:
    """A flag for every setting that is not a secret: secrets on a command line are in everyone's process list."""
    for setting in fields(Settings):
        if not setting.metadata["secret"]:
            flag = f"--{setting.name.replace('_', '-')}"
            command.params.append(click.Option([flag, setting.name], help=f"{setting.metadata['help']}"))
    return command


@click.group(invoke_without_command=True)
@config_option
@click.pass_context
def server(context: click.Context, /, config_file: str | None, **flags: Any) -> None:
    """Run the server until SIGTERM or SIGINT. Every flag is also an environment variable RM_….

    Flags before `install` become flags of the service.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if context.invoked_subcommand is not None:
        context.obj = (config_file, given)
        return
    settings = settings_of(given, config_file)
    logs.set_up(settings.log_level, settings.log_format)
    for trouble in unknown_variables(os.environ):
        _log.warning("%s", trouble)
    sys.exit(run(settings))


_with_settings(server)


@server.command()
@units.install_options
@click.pass_obj
def install(given: tuple[str | None, dict[str, str]], /, unit_dir: Path | None, **how: bool) -> None:
    """Show a systemd unit for the server, and write it after a yes."""
    config_file, flags = given
    try:
        settings, sources = load_with_sources(flags, {}, file_in_use(config_file))
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    data_dir = unit.DATA_DIR if sources["data_dir"] == "default" else Path(settings.data_dir).absolute()
    words = [f"--config={Path(config_file).absolute()}"] if config_file else []
    words += [f"--{name.replace('_', '-')}={value}" for name, value in flags.items() if name != "data_dir"]
    command = units.own_command()
    closed = units.out_of_reach(Path(command[0]), Path(sys.executable), Path(__file__))
    if closed is not None and not how["only_print"]:
        raise click.ClickException(
            f"the service has a user of its own, and that one cannot read what is in {closed}. Install rmactors where"
            " everybody can: PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install 'rmactors[server]'"
        )
    in_home = any(Path(place).resolve().is_relative_to("/home") for place in (command[0], sys.executable, __file__))
    try:
        text = unit.render(command, words, data_dir, in_home=in_home)
    except unit.BadDataDir as error:
        raise click.ClickException(str(error)) from None
    units.install(unit.NAME, text, unit_dir, **how)


@server.command()
@units.uninstall_options
def uninstall(unit_dir: Path | None, stop: bool) -> None:
    """Remove the unit that `install` wrote. The data dir stays."""
    units.uninstall(unit.NAME, unit_dir, stop=stop)
