"""`rmactors keys`: the key of the stored secrets."""

from contextlib import closing
from pathlib import Path

import click

from rmactors.cli.options import settings_options
from rmactors.common import clock
from rmactors.server.config.secrets import SecretBox, SecretError
from rmactors.server.config.settings import Settings
from rmactors.server.store import secret_rows
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.engines.opening import connect

_BUSY_SECONDS = 30.0
"""How long to wait for the running server to let go of the database."""


@click.group()
def keys() -> None:
    """The key that encrypts channel settings and second factors."""


@keys.command()
@settings_options
def rotate(settings: Settings) -> None:
    """Encrypt every stored secret with a new key, also while the server runs.

    Can be interrupted at any time and run again. Back up the new key file afterwards: this database needs it from now
    on; the old key file only opens older backups.
    """
    try:
        place = settings.place
        if isinstance(place, Path) and not place.exists():
            raise click.ClickException(
                f"there is no database at {place}; set RM_DATA_DIR or --data-dir to the server's data dir"
            )
        with closing(connect(place, busy_seconds=_BUSY_SECONDS)) as connection:
            if not settings.key_file.exists() and not secret_rows.holds_secrets(connection):
                SecretBox.load_or_create(settings.key_file)
            moved = secret_rows.rotate(connection, settings.key_file, clock.now())
    except SecretError as error:
        raise click.ClickException(str(error)) from None
    except DatabaseError as error:
        raise click.ClickException(f"the database could not be changed: {error}. Nothing is lost; try again.") from None
    except OSError as error:
        raise click.ClickException(
            f"the key file {settings.key_file} could not be changed: {error.strerror or error}."
            " Nothing is lost; try again."
        ) from None
    click.echo(f"{moved} secrets encrypted with a new key in {settings.key_file}. Back it up.")
