"""`rmactors backup` and `rmactors restore`: the database in one file, and back; `rmactors move`: to another engine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from rmactors.cli.options import settings_options
from rmactors.common import clock
from rmactors.common.sizes import size
from rmactors.server.config import data_dir
from rmactors.server.config.secrets import SecretError
from rmactors.server.config.settings import Settings
from rmactors.server.store import backup as copies
from rmactors.server.store import moving, restoring
from rmactors.server.store.backup import BackupError
from rmactors.server.store.copying import CopyError, UnknownEnd
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.migrations import MigrationError
from rmactors.server.store.place import SCHEMES, Place, PostgresUrl, url_problem
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
        written = copies.make(settings.place, file, settings.key_file if with_key else None, clock.now())
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
    """Put the database of FILE into the data dir, or into an empty PostgreSQL. The server must be stopped.

    FILE is checked first and brought to this version's schema; until then nothing is changed. What was queued for
    delivery when the backup was made is sent at the next start. With RM_DATABASE_URL it goes into that database, which
    must be empty: --replace empties none.
    """
    with _said("nothing was restored"), data_dir.locked(Path(settings.data_dir)):
        done = restoring.restore(file, settings, clock.now(), replace=replace, forget_secrets=forget_secrets)
    made = f"the backup of {clock.to_rfc3339(done.made_at)}" if done.made_at is not None else "the copy"
    click.echo(
        f"{settings.place} is {made} now; {many('%(n)s notification', '%(n)s notifications', done.queued)} waiting."
    )
    if done.replaced is not None:
        click.echo(f"The database that was there is {done.replaced} now; delete it when you do not need it.")
    if done.with_keys:
        click.echo(f"The key came with it, into {settings.key_file}.")
    if done.migrations:
        click.echo(f"Brought to this version's schema: {', '.join(done.migrations)}.")
    for name in done.forgotten:
        click.echo(f"Given up: {name}.")


@click.command()
@click.option("--to", "to", required=True, metavar="URL|DATA_DIR", help="postgresql://user@host/database, or a folder.")
@settings_options
def move(settings: Settings, to: str) -> None:
    """Copy everything into an empty PostgreSQL, or from one into a data dir. Every server must be stopped.

    The source is what the settings name, and stays as it is. The target is whole afterwards, or as it was: a kill
    changes nothing. Leave the password out of the URL: ~/.pgpass and PGPASSWORD are read.
    """
    target, key_file = _target(settings, to)
    with _said("nothing was moved"), ExitStack() as locks:
        if target == settings.place:
            raise CopyError("source and target are the same")
        if isinstance(settings.place, Path) and isinstance(target, Path):
            raise CopyError("from one data dir into another, use `rmactors backup` and `rmactors restore`")
        for place in (settings.place, target):
            if isinstance(place, Path):
                locks.enter_context(data_dir.locked(place.parent))
        done = moving.move(settings.place, target, settings.key_file, key_file, clock.now())
    click.echo(f"{done.rows:,} rows of {done.tables} tables are in {target} now.")
    key = "" if key_file == settings.key_file else f" The key is in {key_file}."
    if isinstance(target, Path):
        click.echo(f"Set RM_DATA_DIR to {target.parent}, unset RM_DATABASE_URL, and start the server.{key}")
    else:
        click.echo(f"Set RM_DATABASE_URL to that URL, keep RM_DATA_DIR and the key file, and start the server.{key}")
    click.echo(f"{settings.place} is as it was: start no server on it again, and delete it when you do not need it.")


def _target(settings: Settings, to: str) -> tuple[Place, Path]:
    """The place, and where its key file is. Raises click.ClickException."""
    if to.startswith(SCHEMES):
        if problem := url_problem(to):
            raise click.ClickException(f"--to: {problem}")
        return PostgresUrl(to), settings.key_file
    if "://" in to or not to:
        raise click.ClickException("--to must be a URL that begins with postgresql://, or a folder")
    folder = Path(to)
    return folder / "rm.db", Path(settings.secret_key_file) if settings.secret_key_file else folder / "secret.key"


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Expected trouble as one sentence."""
    try:
        yield
    except data_dir.DataDirTaken as taken:
        raise click.ClickException(f"{what}: {taken}; stop it first") from None
    except (BackupError, CopyError, SecretError, MigrationError) as error:
        raise click.ClickException(f"{what}: {error}") from None
    except UnknownEnd as error:
        raise click.ClickException(
            f"it is not known whether all is there ({error}): try again, and where it says that rows are there already,"
            " all of them are"
        ) from None
    except DatabaseError as error:
        raise click.ClickException(f"{what}: the database says {error}") from None
    except OSError as error:
        raise click.ClickException(f"{what}: {error}") from None
