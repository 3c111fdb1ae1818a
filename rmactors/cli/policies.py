"""`rmactors policies`: over the API."""

import click

from rmactors.cli.remote import Remote, listing, remote_command
from rmactors.client import views


@click.group()
def policies() -> None:
    """Policies, which make schedules by tag: list, show. Speaks to a server's API."""


@remote_command(policies, "list")
@listing
def list_policies(remote: Remote, limit: int | None) -> None:
    """By name."""
    remote.rows(remote.api.items("/api/policies"), views.POLICIES, limit)


@remote_command(policies, "show")
@click.argument("policy")
def show(remote: Remote, policy: str) -> None:
    """One policy (name or id)."""
    remote.show(remote.api.call("GET", f"/api/policies/{remote.policy_id(policy)}"), views.policy)
