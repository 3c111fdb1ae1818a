"""`rmactors snapshots`: what is in a host's repositories, over the API. The host's agent is asked while one waits."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from rmactors.cli.remote import Remote, listing, remote_command
from rmactors.client import views
from rmactors.client.connection import segment
from rmactors.common.text import one_line


class _WithList(click.Group):
    """`snapshots HOST` is `snapshots list HOST`. A host that is called like a command needs the long form."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args.insert(0, "list")
        return super().parse_args(ctx, args)


@click.group(cls=_WithList)
def snapshots() -> None:
    """Snapshots: list, browse, find, diff. Speaks to a server's API, which asks the host's agent.

    `rmactors snapshots HOST` lists those of a host. The host's agent.toml must have "browse" in `allow`.
    """


_plan = click.option("--plan", help="A plan in the host's agent.toml; optional if there is only one.")


@remote_command(snapshots, "list")
@click.argument("host")
@click.option("--plan", help="Those of this plan in the host's agent.toml; else those of all its plans.")
@listing
def list_snapshots(remote: Remote, host: str, plan: str | None, limit: int | None) -> None:
    """Newest first."""
    query = f"?plan={segment(plan)}" if plan is not None else ""
    answer = remote.api.call("GET", f"/api/hosts/{remote.host_id(host)}/snapshots{query}")
    remote.rows(_items(answer), views.PLANS_SNAPSHOTS, limit)


@remote_command(snapshots, "browse")
@click.argument("host")
@click.argument("path", default="/")
@click.option("--snapshot", default="latest", show_default=True, help="An id, or latest.")
@_plan
@listing
def browse(remote: Remote, host: str, limit: int | None, **asked: Any) -> None:
    """What is in the folder PATH of a snapshot."""
    remote.rows(_pages(remote, host, "browse", asked), views.ENTRIES, limit)


@remote_command(snapshots, "find")
@click.argument("host")
@click.argument("pattern")
@_plan
@listing
def find(remote: Remote, host: str, limit: int | None, **asked: Any) -> None:
    """Files and folders of that name in all snapshots of a plan. PATTERN may have * and ?; quote it."""
    remote.rows(_pages(remote, host, "find", asked), views.FOUND, limit)


@remote_command(snapshots, "diff")
@click.argument("host")
@click.argument("from", metavar="FROM")
@click.argument("to", metavar="TO")
@_plan
@listing
def diff(remote: Remote, host: str, limit: int | None, **asked: Any) -> None:
    """What changed from one snapshot to another; both are ids."""
    remote.rows(_pages(remote, host, "diff", asked), views.CHANGES, limit)


def _pages(remote: Remote, host: str, what: str, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every item, page by page as they are taken."""
    path = f"/api/hosts/{remote.host_id(host)}/{what}"
    body = {name: value for name, value in asked.items() if value is not None}
    while True:
        page = remote.api.call("POST", path, body)
        yield from _items(page)
        if page["next_cursor"] is None:
            return
        body["cursor"] = page["next_cursor"]


def _items(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from answer["items"]
    if left_out := answer.get("left_out"):
        click.echo(one_line(f"{left_out} more could not be read"), err=True)
