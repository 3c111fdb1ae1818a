"""`rmactors admin`: users and tokens, written into the data dir, whether or not a server runs on it.

Secrets never come from arguments, where every process on the machine could read them, and a token is printed once,
alone on its line.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rmactors.cli.options import config_option, settings_of
from rmactors.common import clock, ids
from rmactors.common.text import one_line
from rmactors.common.vocabulary import ROLES, Role
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.messages.accounts import CreateUser, ResetUser, UserReset
from rmactors.server.messages.answers import Committed, Failed, Refused, Result
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.made_tokens import (
    MOST_USES,
    CreateApiToken,
    CreateEnrollmentToken,
    Maker,
)
from rmactors.server.messages.writes import Write
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.migrations import MigrationError
from rmactors.server.store.offline import commit_here, look_here
from rmactors.server.store.queries.accounts import login_by_name
from rmactors.server.store.queries.hosts import host_id_of
from rmactors.server.web.auth.names import username_problem
from rmactors.server.web.auth.passwords import Passwords, weakness
from rmactors.server.web.auth.setup import token_file

_ROLE = click.Choice(ROLES)
_ACTOR = "rmactors admin"
_MOST_DAYS = 36_500.0
_MOST_MINUTES = 7 * 24 * 60.0


@click.group()
@config_option
@click.option("--data-dir", help="The directory of rm.db.  [RM_DATA_DIR, ./data]")
@click.pass_context
def admin(context: click.Context, config_file: str | None, data_dir: str | None) -> None:
    """Create users and tokens in the server's database, also while the server runs."""
    context.obj = settings_of({"data_dir": data_dir}, config_file)


_PASSWORD_FILE = click.option(
    "--password-file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="`-` is standard input."
)


@admin.command("create-user")
@click.option("--username", required=True)
@click.option("--role", type=_ROLE, required=True)
@_PASSWORD_FILE
@click.pass_obj
def create_user(settings: Settings, username: str, role: Role, password_file: str | None) -> None:
    """Create a user. The password comes from --password-file, RM_PASSWORD, RM_PASSWORD_FILE or a prompt."""
    if problem := username_problem(username):
        raise click.ClickException(f"--username: {problem}")
    password = _password(password_file, username)
    user_id, at = ids.new(), clock.now()
    audit = _audit(at, "user.create", "user", user_id, f"{username} as {role}")
    _commit(settings, CreateUser(user_id, username, Passwords().hash_here(password), role, at, audit))
    token_file(settings).unlink(missing_ok=True)  # the first run is over
    click.echo(f"user {username!r} can sign in as {role}")


@admin.command("reset-user")
@click.option("--username", required=True)
@click.option(
    "--second-factor", is_flag=True, help="Turn the second factor off and remove passkeys, for a phone that was lost."
)
@_PASSWORD_FILE
@click.pass_obj
def reset_user(settings: Settings, username: str, second_factor: bool, password_file: str | None) -> None:
    """Give a user a new password and end their sessions, also while the server runs.

    The password comes from --password-file, RM_PASSWORD, RM_PASSWORD_FILE or a prompt. With --second-factor it may be
    left as it is: leave the prompt empty.
    """
    with _database_trouble(settings):
        known = look_here(settings, lambda connection: login_by_name(connection, username))
    if known is None:  # said before a password is asked for
        raise click.ClickException(f"--username: there is no user {username!r}")
    at, password = clock.now(), _password(password_file, username, may_stay=second_factor)
    told = [
        *(["password"] if password else []),
        *(["second factor and passkeys off"] if second_factor else []),
        "sessions ended",
    ]
    audit = _audit(at, "user.reset", "user", "", f"{username}: {', '.join(told)}")
    hashed = Passwords().hash_here(password) if password else None
    match _commit(settings, ResetUser(username, hashed, second_factor, audit)):
        case (UserReset() as reset,):
            for line in _what_was_reset(reset, bool(password), second_factor):
                click.echo(line)


def _what_was_reset(reset: UserReset, password: bool, second_factor: bool) -> Iterator[str]:
    yield f"user {reset.username!r} ({reset.role}): {'has a new password' if password else 'the password stays'}"
    if second_factor:
        yield "the second factor is off" if reset.had_second_factor else "there was no second factor"
    elif reset.had_second_factor:
        yield "the second factor is still asked for: --second-factor turns it off"
    if reset.passkeys:
        yield f"passkeys removed: {reset.passkeys}"
    yield "no session was open" if not reset.sessions else f"sessions ended: {reset.sessions}"
    if reset.tokens:
        yield f"API tokens that they made still work: {reset.tokens}; the page Users revokes them"
    if reset.disabled:
        yield "the user is disabled, and cannot sign in until another admin changes that"


@admin.command("create-api-token")
@click.option("--name", required=True, help="The program that uses the token; shown in lists and in the audit trail.")
@click.option("--role", type=_ROLE, required=True)
@click.option(
    "--expires-days", type=click.FloatRange(0, _MOST_DAYS, min_open=True), help="Without it, the token never expires."
)
@click.pass_obj
def create_api_token(settings: Settings, name: str, role: Role, expires_days: float | None) -> None:
    """Create an API token and print it once."""
    if problem := username_problem(name):
        raise click.ClickException(f"--name: {problem}")
    token, token_id, at = tokens.make(tokens.API), ids.new(), clock.now()
    expires_at = at + clock.seconds(expires_days * 86_400) if expires_days is not None else None
    audit = _audit(at, "token.create", "token", token_id, f"{name} as {role}")
    prefix = token[: tokens.SHOWN_PREFIX_LENGTH]
    digest, by = tokens.digest(token), Maker(_ACTOR)
    _commit(settings, CreateApiToken(token_id, name, role, prefix, digest, at, expires_at, audit, by))
    click.echo(token)


@admin.command("create-enrollment-token")
@click.option("--ttl-minutes", type=click.FloatRange(0, _MOST_MINUTES, min_open=True), default=60.0, show_default=True)
@click.option(
    "--uses", type=click.IntRange(1, MOST_USES), default=1, show_default=True, help="How many hosts it enrolls."
)
@click.option("--tag", "tags", multiple=True, help="Put on each host that it enrolls; may be given several times.")
@click.option("--host", help="Name of a host that a machine becomes: its schedules and history stay.")
@click.pass_obj
def create_enrollment_token(
    settings: Settings, ttl_minutes: float, uses: int, tags: tuple[str, ...], host: str | None
) -> None:
    """Create a token for `rmactors agent enroll` and print it once."""
    if host is not None and (uses > 1 or tags):
        raise click.UsageError("--host is for one machine, and its tags stay: leave out --uses and --tag")
    if any(not 1 <= len(tag) <= 100 or tag != one_line(tag).strip() or "," in tag for tag in tags) or len(tags) > 100:
        raise click.UsageError("--tag: up to 100 tags of 1 to 100 characters, without commas and control characters")
    host_id = _host_id(settings, host) if host is not None else None
    token, token_id, at = tokens.make(tokens.ENROLLMENT), ids.new(), clock.now()
    tags = tuple(dict.fromkeys(tags))
    audit = _audit(
        at, "enrollment_token.create", "enrollment_token", token_id, tokens.enrollment_gives(uses, tags, host_id)
    )
    expires_at = at + clock.seconds(ttl_minutes * 60)
    prefix, by, digest = token[: tokens.SHOWN_PREFIX_LENGTH], Maker(_ACTOR), tokens.digest(token)
    write = CreateEnrollmentToken(token_id, digest, at, expires_at, audit, prefix, by, uses, tags, host_id)
    _commit(settings, write)
    click.echo(token)


def _host_id(settings: Settings, name: str) -> str:
    with _database_trouble(settings):
        found = look_here(settings, lambda connection: host_id_of(connection, name))
    if found is None:
        raise click.ClickException(f"--host: there is no host {name!r}")
    return found


def _password(file: str | None, username: str, *, may_stay: bool = False) -> str:
    """A good one. At a terminal it is asked for until it is; elsewhere ClickException. Empty if it `may_stay`."""
    asked = file is None and not {"RM_PASSWORD", "RM_PASSWORD_FILE"} & os.environ.keys()
    if asked and may_stay and not sys.stdin.isatty():
        return ""
    while True:
        password = _prompted(may_stay) if asked else _given(file)
        problem = None if may_stay and asked and not password else weakness(password, username)
        if problem is None:
            return password
        if not asked:
            raise click.ClickException(f"the password: {problem}")
        click.echo(f"Error: the password: {problem}", err=True)


def _prompted(may_stay: bool) -> str:
    word = "New password (empty: it stays)" if may_stay else "Password"
    default = "" if may_stay else None
    prompted: str = click.prompt(word, default, hide_input=True, confirmation_prompt=True, show_default=False, err=True)
    return prompted


def _given(file: str | None) -> str:
    if file is None and "RM_PASSWORD" in os.environ:
        return os.environ["RM_PASSWORD"]
    file = file or os.environ["RM_PASSWORD_FILE"]
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"the password file cannot be read: {error}") from None
    return text.rstrip("\r\n")


def _audit(at: int, action: str, kind: str, target_id: str, detail: str = "") -> Audit:
    return Audit(at, _ACTOR, "system", action, kind, target_id, detail=detail)


@contextmanager
def _database_trouble(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (OSError, *DatabaseError, MigrationError) as error:
        raise click.ClickException(f"{settings.place}: {error}") from None


def _commit(settings: Settings, write: Write) -> tuple[Result, ...]:
    with _database_trouble(settings):
        answer = commit_here(settings, write)
    match answer:
        case Committed(results):
            return results
        case Refused(_, detail) | Failed(detail):
            raise click.ClickException(detail)
        case _:
            raise click.ClickException("it was changed in the meantime; try again")
