"""What the commands over the API share: which server, under which token, how answers are shown, how trouble ends.

Exit codes: 0 done; 1 the server refused, or what was asked for went badly; 2 wrong usage; 3 no server there; 4 the
token is not taken or may not do this.
"""

import functools
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rmactors.agent.server_url import is_loopback
from rmactors.client.connection import Api, ApiError, Unreachable
from rmactors.client.views import Columns
from rmactors.common.ids import looks_valid
from rmactors.common.text import one_line

SERVER = "http://127.0.0.1:8080"
SHOWN = 100
"""Rows that are shown of a longer list by default."""


class _Trouble(click.ClickException):
    """An error in one line: it may quote a server, a host or a receiver."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Refused(_Trouble):
    """The server refused, or what was asked for went badly."""

    exit_code = 1


class NotReached(_Trouble):
    """No server there."""

    exit_code = 3


class NotAllowed(_Trouble):
    """The token is not taken, or may not do this."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Remote:
    """A server, and how to show what it says."""

    api: Api
    as_json: bool

    def show(self, thing: Mapping[str, Any], words: Callable[[Mapping[str, Any], int | None], str]) -> None:
        """One object."""
        click.echo(json.dumps(thing, indent=2) if self.as_json else words(thing, columns()))

    def rows(self, found: Iterable[Mapping[str, Any]], shown: Columns, limit: int | None) -> None:
        """Items as a table, or as one JSON array: at most `limit`, and a word on standard error if there are more."""
        items = list(itertools.islice(found, limit + 1) if limit is not None else found)
        more = limit is not None and len(items) > limit
        items = items[:limit]
        if self.as_json:
            click.echo(json.dumps(items, indent=2))
        elif items:
            click.echo(shown.table(items, columns()))
        else:
            click.echo("none", err=True)
        if more:
            click.echo(f"there are more than {limit}: use --limit N or --all", err=True)

    def host_id(self, name: str) -> str:
        """The id of a host by its name or id. Raises Refused."""
        return self._named("/api/hosts", name, "host")

    def channel_id(self, name: str) -> str:
        return self._named("/api/notifications", name, "channel")

    def policy_id(self, name: str) -> str:
        """The id of a policy by its name or id. Raises Refused."""
        return self._named("/api/policies", name, "policy")

    def _named(self, path: str, name: str, what: str) -> str:
        if looks_valid(name) and name == name.upper():
            return name
        same = [str(item["id"]) for item in self.api.items(path) if item["name"].casefold() == name.casefold()]
        if not same:
            raise Refused(f"there is no {what} {name!r}")
        if len(same) > 1:
            raise Refused(f"{len(same)} {what}s are called {name!r}; use an id instead: {', '.join(same)}")
        return same[0]


def columns() -> int | None:
    """The terminal's width; None where output is not a terminal, so that nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def remote_command(group: click.Group, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command of `group` whose function gets a `Remote`; its options name the server and the token."""

    def make(command: Callable[..., Any]) -> Callable[..., Any]:
        @group.command(name)
        @server_options
        @click.option("--json", "as_json", is_flag=True, help="Print the API's JSON objects.")
        @functools.wraps(command)
        def with_remote(server: str, token_file: str | None, as_json: bool, **others: Any) -> None:
            with connected(server, token_file, as_json=as_json) as remote:
                command(remote, **others)

        return with_remote

    return make


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--server` and `--token-file`."""
    for option in (
        click.option(
            "--token-file",
            type=click.Path(dir_okay=False, allow_dash=True),
            envvar="RM_TOKEN_FILE",
            help="File with an API token; `-` is standard input.  [RM_TOKEN, RM_TOKEN_FILE]",
        ),
        click.option("--server", envvar="RM_SERVER", default=SERVER, show_default=True, help="URL.  [RM_SERVER]"),
    ):
        command = option(command)
    return command


@contextmanager
def connected(server: str, token_file: str | None, *, as_json: bool) -> Iterator[Remote]:
    """A server for as long as the block lasts. Raises click's exceptions for all trouble with it."""
    try:
        api = Api(server, _token(token_file))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if server.startswith("http:") and not is_loopback(server):
        click.echo("warning: this connection is not encrypted; others on the network can read the token", err=True)
    try:
        yield Remote(api, as_json)
    except Unreachable as error:
        raise NotReached(str(error)) from None
    except ApiError as error:
        raise (NotAllowed if error.status in (401, 403) else Refused)(str(error)) from None
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        sys.exit(0)
    finally:
        api.close()


def listing(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--limit` and `--all`; the command gets `limit`, None for all. A program gets all unless it says otherwise."""

    @click.option(
        "--limit", type=click.IntRange(min=1), help=f"Show at most so many rows.  [{SHOWN}; with --json: all]"
    )
    @click.option("--all", "everything", is_flag=True, help="Show all rows.")
    @functools.wraps(command)
    def limited(remote: Remote, limit: int | None, everything: bool, **others: Any) -> Any:
        usual = None if everything or remote.as_json else SHOWN
        return command(remote, limit=limit or usual, **others)

    return limited


def _token(file: str | None) -> str:
    """From the file that was named, else from the environment: never from an argument, which everybody could read."""
    token = os.environ.get("RM_TOKEN", "")
    if file is not None:
        try:
            token = sys.stdin.read() if file == "-" else Path(file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"the token file cannot be read: {error}") from None
    token = token.strip()
    if not token:
        raise click.UsageError(
            "no API token: set RM_TOKEN, or name a file with --token-file. On the server, `rmactors admin"
            " create-api-token --name N --role R` makes one."
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise click.UsageError("this is not an API token: expected one line of letters and digits")
    return token
