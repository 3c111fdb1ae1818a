"""`rmactors backup` and `rmactors restore`: the database in one file, and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rmactors.cli.options import settings_options
from rmactors.common import clock
from rmactors.common.sizes import size
from rmactors.server.config import data_dir
from rmactors.server.config.secrets import SecretError
from rmactors.server.config.settings import Settings
from rmactors.server.store import backup as copies
from rmactors.server.store import restoring
from rmactors.server.store.backup import BackupError
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.migrations import MigrationError
from rmactors.server.web.views.texts import many

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "--with-key/--without-key",
    "with_key",
    default=False,
    help="Whether the key of the stored secrets goes into the file.  [without]",
)
@settings_options
def backup(settings: Settings, file: Path, with_key: bool) -> None:
    """Copy the whole database into FILE, also while the server runs.

    FILE is an SQLite database of one moment, checked and readable by its owner alone; one that is there already is
    replaced once the new one is whole. Without the key, keep the key file too, in another place.
    """
    with _said("the backup was not made"):
        written = copies.make(settings.database, file, settings.key_file if with_key else None, clock.now())
    click.echo(f"{file}: {size(written)}, checked")
    if with_key:
        click.echo(f"{file} holds the key of the stored secrets: anyone who reads it reads them.", err=True)
    else:
        click.echo(
            f"The key is not in it. Keep {settings.key_file} as well, in another place:"
            " without it, channel settings and second factors are lost.",
            err=True,
        )


@click.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Where there is a database already, put it aside under another name.")
@click.option(
    "--forget-secrets", is_flag=True, help="The key is lost: give up channels and second factors, restore the rest."
)
@settings_options
def restore(settings: Settings, file: Path, replace: bool, forget_secrets: bool) -> None:
    """Put the database of FILE into the data dir. The server must be stopped.

    FILE is checked first and brought to this version's schema; until then nothing is changed. What was queued for
    delivery when the backup was made is sent at the next start.
    """
    with _said("nothing was restored"), data_dir.locked(Path(settings.data_dir)):
        done = restoring.restore(
            file, settings.database, settings.key_file, clock.now(), replace=replace, forget_secrets=forget_secrets
        )
    made = f"the backup of {clock.to_rfc3339(done.made_at)}" if done.made_at is not None else "the copy"
    click.echo(
        f"{settings.database} is {made} now; {many('%(n)s notification', '%(n)s notifications', done.queued)} waiting."
    )
    if done.replaced is not None:
        click.echo(f"The database that was there is {done.replaced} now; delete it when you do not need it.")
    if done.with_keys:
        click.echo(f"The key came with it, into {settings.key_file}.")
    if done.migrations:
        click.echo(f"Brought to this version's schema: {', '.join(done.migrations)}.")
    for name in done.forgotten:
        click.echo(f"Given up: {name}.")


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Expected trouble as one sentence."""
    try:
        yield
    except data_dir.DataDirTaken as taken:
        raise click.ClickException(f"{what}: {taken}; stop it first") from None
    except (BackupError, SecretError, MigrationError) as error:
        raise click.ClickException(f"{what}: {error}") from None
    except DatabaseError as error:
        raise click.ClickException(f"{what}: the database says {error}") from None
    except OSError as error:
        raise click.ClickException(f"{what}: {error}") from None
