"""`rmactors hosts`: over the API."""

import click

from rmactors.cli.remote import Remote, listing, remote_command
from rmactors.client import views


@click.group()
def hosts() -> None:
    """Hosts: list, show. Speaks to a server's API."""


@remote_command(hosts, "list")
@click.option("--status", type=click.Choice(["online", "offline", "never_seen", "reports_only"]))
@click.option("--tag")
@listing
def list_hosts(remote: Remote, status: str | None, tag: str | None, limit: int | None) -> None:
    """By name."""
    found = remote.api.items("/api/hosts")
    wanted = (h for h in found if status in (None, h["status"]) and (tag is None or tag in h["tags"]))
    remote.rows(wanted, views.HOSTS, limit)


@remote_command(hosts, "show")
@click.argument("host")
def show(remote: Remote, host: str) -> None:
    """One host (name or id) with its schedules and the last job of each kind."""
    remote.show(remote.api.call("GET", f"/api/hosts/{remote.host_id(host)}"), views.host)
