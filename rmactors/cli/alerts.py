"""`rmactors alerts`: over the API."""

from collections.abc import Mapping
from datetime import UTC, datetime

import click

from rmactors.cli.remote import Remote, listing, remote_command
from rmactors.client import views
from rmactors.client.connection import segment
from rmactors.common.vocabulary import ALERT_KINDS, SEVERITIES

_IDS = click.argument("alert_ids", metavar="ID…", nargs=-1, required=True)
_NOTE = click.option("--note", help="Stored with the alert and sent to the channels.")


@click.group()
def alerts() -> None:
    """Alerts: list, show, acknowledge, resolve. Speaks to a server's API."""


@remote_command(alerts, "list")
@click.option(
    "--status", type=click.Choice(["open", "acknowledged", "resolved", "all"]), default="open", show_default=True
)
@click.option("--severity", type=click.Choice(SEVERITIES))
@click.option("--kind", type=click.Choice(ALERT_KINDS))
@click.option("--host", help="Name or id.")
@click.option("--search", help="Part of the message.")
@listing
def list_alerts(
    remote: Remote,
    status: str,
    severity: str | None,
    kind: str | None,
    host: str | None,
    search: str | None,
    limit: int | None,
) -> None:
    """Unresolved ones first, then the newest."""
    host_id = remote.host_id(host) if host else None
    found = remote.api.items("/api/alerts", status=status, severity=severity, kind=kind, host_id=host_id, q=search)
    remote.rows(found, views.alerts(datetime.now(UTC), with_status=status == "all"), limit)


@remote_command(alerts, "show")
@click.argument("alert_id", metavar="ID")
def show(remote: Remote, alert_id: str) -> None:
    """One alert, and everything that happened to it."""
    remote.show(remote.api.call("GET", f"/api/alerts/{segment(alert_id)}"), views.alert)


@remote_command(alerts, "ack")
@_IDS
@_NOTE
def ack(remote: Remote, alert_ids: tuple[str, ...], note: str | None) -> None:
    """Acknowledge: the alert stays unresolved, reminders stop."""
    _act(remote, alert_ids, "acknowledge", note)


@remote_command(alerts, "resolve")
@_IDS
@_NOTE
@click.option(
    "--meant/--not-meant", default=None,
    help="Of backups that look wrong (backup_suspicious): later backups are compared with this one, which is the"
    " default, or with what was usual until now.",
)  # fmt: skip
def resolve(remote: Remote, alert_ids: tuple[str, ...], note: str | None, meant: bool | None) -> None:
    """Resolve by hand. If the problem comes back, a new alert is raised."""
    _act(remote, alert_ids, "resolve", note, {} if meant is None else {"meant": meant})


def _act(
    remote: Remote, alert_ids: tuple[str, ...], what: str, note: str | None, answer: Mapping[str, bool] | None = None
) -> None:
    body = {**({"note": note} if note else {}), **(answer or {})}
    done = [remote.api.call("POST", f"/api/alerts/{segment(alert_id)}/{what}", body) for alert_id in alert_ids]
    remote.rows(done, views.alerts(datetime.now(UTC), with_status=True), None)
