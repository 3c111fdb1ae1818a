"""`rmactors keys`: the key of the stored secrets."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from rmactors.cli.options import settings_options
from rmactors.common import clock
from rmactors.server.config.secrets import SecretBox, SecretError
from rmactors.server.config.settings import Settings
from rmactors.server.store import leadership, secret_rows
from rmactors.server.store.database import Connection, DatabaseError
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.place import PostgresUrl

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

    With several nodes, run `rmactors keys add` first and copy the key file to every node.
    """
    with _said_in_a_sentence(settings):
        place = settings.place
        if isinstance(place, Path) and not place.exists():
            raise click.ClickException(
                f"there is no database at {place}; set RM_DATA_DIR or --data-dir to the server's data dir"
            )
        with closing(connect(place, busy_seconds=_BUSY_SECONDS)) as connection:
            if not settings.key_file.exists() and not secret_rows.holds_secrets(connection):
                SecretBox.load_or_create(settings.key_file)
            shared = isinstance(place, PostgresUrl) and _other_nodes(connection, settings)
            move = secret_rows.rotate_to_added if shared else secret_rows.rotate
            moved = move(connection, settings.key_file, clock.now())
    copy = ", and copy it to every node again" if shared else ""
    click.echo(f"{moved} secrets encrypted with a new key in {settings.key_file}. Back it up{copy}.")


@keys.command()
@settings_options
def add(settings: Settings) -> None:
    """With several nodes: put a new key into this node's key file, for `rmactors keys rotate`.

    Copy the file to every node afterwards. Nothing is encrypted with the new key before the rotation.
    """
    if not settings.database_url:
        raise click.ClickException("one server alone needs no `keys add`: `rmactors keys rotate` makes the new key")
    with _said_in_a_sentence(settings):
        added = secret_rows.add_key(settings.key_file)
    click.echo(
        f"The key {added} is in {settings.key_file}. Copy the file to every node, then run `rmactors keys rotate` here."
    )


def _other_nodes(connection: Connection, settings: Settings) -> bool:
    """Whether a node that is not this one was seen lately: it needs the new key before anything is sealed under it."""
    return any(node.name != settings.own_node_name for node in leadership.recent(connection))


@contextmanager
def _said_in_a_sentence(settings: Settings) -> Iterator[None]:
    try:
        yield
    except SecretError as error:
        raise click.ClickException(str(error)) from None
    except DatabaseError as error:
        raise click.ClickException(f"the database could not be changed: {error}. Nothing is lost; try again.") from None
    except OSError as error:
        raise click.ClickException(
            f"the key file {settings.key_file} could not be changed: {error.strerror or error}."
            " Nothing is lost; try again."
        ) from None
