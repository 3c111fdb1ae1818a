"""`rmactors channels`: over the API."""

import json

import click

from rmactors.cli.remote import Refused, Remote, listing, remote_command
from rmactors.client import views
from rmactors.client.connection import segment
from rmactors.common.text import one_line


@click.group()
def channels() -> None:
    """Notification channels: list, show, test, log, retry, dismiss. Speaks to a server's API."""


@remote_command(channels, "list")
@listing
def list_channels(remote: Remote, limit: int | None) -> None:
    """With their health and queue."""
    remote.rows(remote.api.items("/api/notifications"), views.CHANNELS, limit)


@remote_command(channels, "show")
@click.argument("channel")
def show(remote: Remote, channel: str) -> None:
    """One channel (name or id); secrets are not shown."""
    remote.show(remote.api.call("GET", f"/api/notifications/{remote.channel_id(channel)}"), views.channel)


@remote_command(channels, "test")
@click.argument("channel")
def test(remote: Remote, channel: str) -> None:
    """One real attempt now, enabled or not. The exit code is 1 if it was not delivered."""
    result = remote.api.call("POST", f"/api/notifications/{remote.channel_id(channel)}/test")
    status = f"HTTP {result['status_code']}, " if result["status_code"] is not None else ""
    if remote.as_json:
        click.echo(json.dumps(result, indent=2))
    elif result["ok"]:
        click.echo(one_line(f"delivered ({status}{result['latency_ms']:.0f} ms)"))
    if not result["ok"]:
        raise Refused(f"not delivered: {result['error'] or 'no reason given'}")


@remote_command(channels, "log")
@click.argument("channel")
@listing
def log(remote: Remote, channel: str, limit: int | None) -> None:
    """Every attempt, the newest first."""
    remote.rows(remote.api.items(f"/api/notifications/{remote.channel_id(channel)}/log"), views.ATTEMPTS, limit)


@remote_command(channels, "retry")
@click.argument("delivery_ids", metavar="DELIVERY…", nargs=-1, required=True)
def retry(remote: Remote, delivery_ids: tuple[str, ...]) -> None:
    """Send notifications again that were not delivered; their ids are in `log` and on the alert."""
    for delivery_id in delivery_ids:
        done = remote.api.call("POST", f"/api/deliveries/{segment(delivery_id)}/retry")
        click.echo(json.dumps(done) if remote.as_json else one_line(f"{done['id']} is queued again"))


@remote_command(channels, "dismiss")
@click.argument("delivery_ids", metavar="DELIVERY…", nargs=-1, required=True)
def dismiss(remote: Remote, delivery_ids: tuple[str, ...]) -> None:
    """Let notifications that were not delivered count no longer; their ids are in `log` and on the alert."""
    for delivery_id in delivery_ids:
        done = remote.api.call("POST", f"/api/deliveries/{segment(delivery_id)}/dismiss")
        click.echo(json.dumps(done) if remote.as_json else one_line(f"{done['id']} is dismissed"))
