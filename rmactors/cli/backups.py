"""`rmactors backups`: over the API."""

from datetime import UTC, datetime

import click

from rmactors.cli.remote import Remote, listing, remote_command
from rmactors.client import views

_STATES = ["overdue", "never", "no_limit", "ok"]
_COLUMNS = [
    "state", "host", "plan", "repository", "newest_good", "files", "bytes", "limit", "left", "restore_test", "attempt",
    "outcome",
]  # fmt: skip


@click.group()
def backups() -> None:
    """How old the newest good backup of each plan is: list. Speaks to a server's API."""


@remote_command(backups, "list")
@click.option("--state", type=click.Choice(_STATES))
@click.option("--tag", help="Of the host.")
@click.option("--host", help="Name or id.")
@click.option(
    "--sort", metavar="COLUMN", type=click.Choice([*_COLUMNS, *(f"-{column}" for column in _COLUMNS)]),
    help=f"The worst first by default. One of {', '.join(_COLUMNS)}; with - in front the other way round.",
)  # fmt: skip
@listing
def list_backups(
    remote: Remote, state: str | None, tag: str | None, host: str | None, sort: str | None, limit: int | None
) -> None:
    """Each plan with its newest good backup and the limit on its age."""
    host_id = remote.host_id(host) if host else None
    found = remote.api.items("/api/backups", state=state, tag=tag, host_id=host_id, sort=sort)
    remote.rows(found, views.backups(datetime.now(UTC)), limit)
