"""What the commands on a data dir share: which settings are in force, from flags, environment and file."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rmactors.server.config.settings import DEFAULT_FILE, Settings, SettingsError, load

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False),
    envvar="RM_CONFIG",
    metavar="FILE",
    help=f"The server's TOML file.  [RM_CONFIG, {DEFAULT_FILE} if it exists]",
)


def file_in_use(named: str | None, usual: Path = DEFAULT_FILE) -> str | None:
    """The settings file: the one that was named, else the usual one where it is there."""
    return named or (str(usual) if usual.exists() else None)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config`, `--data-dir` and `--secret-key-file`; the command is called with the `settings` in force."""

    @config_option
    @click.option("--data-dir", help="The directory of rm.db and secret.key.  [RM_DATA_DIR, ./data]")
    @click.option("--secret-key-file", help="The key file.  [RM_SECRET_KEY_FILE, <data dir>/secret.key]")
    @functools.wraps(command)
    def with_settings(config_file: str | None, data_dir: str | None, secret_key_file: str | None, **others: Any) -> Any:
        flags = {"data_dir": data_dir, "secret_key_file": secret_key_file}
        return command(settings=settings_of(flags, config_file), **others)

    return with_settings


def settings_of(flags: dict[str, Any], config_file: str | None) -> Settings:
    """The settings in force. Raises click.ClickException where one cannot be used."""
    try:
        return load(flags, os.environ, file_in_use(config_file))
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
