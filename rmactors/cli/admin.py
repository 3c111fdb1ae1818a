"""`rmactors admin`: users and tokens, written into the data dir, whether or not a server runs on it.

Secrets never come from arguments, where every process on the machine could read them, and a token is printed once,
alone on its line.
"""

import os
import sqlite3
import sys
from pathlib import Path

import click

from rmactors.cli.options import config_option, settings_of
from rmactors.common import clock, ids
from rmactors.common.vocabulary import ROLES, Role
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.messages.accounts import CreateUser
from rmactors.server.messages.answers import Committed, Failed, Refused
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.made_tokens import CreateApiToken, CreateEnrollmentToken, Maker
from rmactors.server.messages.writes import Write
from rmactors.server.store.migrations import MigrationError
from rmactors.server.store.offline import commit_here
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
    """Create users and tokens in the data dir, also while the server runs."""
    context.obj = settings_of({"data_dir": data_dir}, config_file)


@admin.command("create-user")
@click.option("--username", required=True)
@click.option("--role", type=_ROLE, required=True)
@click.option(
    "--password-file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="`-` is standard input."
)
@click.pass_obj
def create_user(settings: Settings, username: str, role: Role, password_file: str | None) -> None:
    """Create a user. The password comes from --password-file, RM_PASSWORD, RM_PASSWORD_FILE or a prompt."""
    if problem := username_problem(username):
        raise click.ClickException(f"--username: {problem}")
    password = _password(password_file)
    if problem := weakness(password, username):
        raise click.ClickException(f"the password: {problem}")
    user_id, at = ids.new(), clock.now()
    audit = _audit(at, "user.create", "user", user_id, f"{username} as {role}")
    _commit(settings, CreateUser(user_id, username, Passwords().hash_here(password), role, at, audit))
    token_file(settings).unlink(missing_ok=True)  # the first run is over
    click.echo(f"user {username!r} can sign in as {role}")


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
@click.pass_obj
def create_enrollment_token(settings: Settings, ttl_minutes: float) -> None:
    """Create a single-use token for `rmactors agent enroll` and print it once."""
    token, token_id, at = tokens.make(tokens.ENROLLMENT), ids.new(), clock.now()
    audit = _audit(at, "enrollment_token.create", "enrollment_token", token_id)
    expires_at = at + clock.seconds(ttl_minutes * 60)
    prefix, by = token[: tokens.SHOWN_PREFIX_LENGTH], Maker(_ACTOR)
    _commit(settings, CreateEnrollmentToken(token_id, tokens.digest(token), at, expires_at, audit, prefix, by))
    click.echo(token)


def _password(file: str | None) -> str:
    if file is None and "RM_PASSWORD" in os.environ:
        return os.environ["RM_PASSWORD"]
    file = file or os.environ.get("RM_PASSWORD_FILE")
    if file is None:
        prompted: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return prompted
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"the password file cannot be read: {error}") from None
    return text.rstrip("\r\n")


def _audit(at: int, action: str, kind: str, target_id: str, detail: str = "") -> Audit:
    return Audit(at, _ACTOR, "system", action, kind, target_id, detail=detail)


def _commit(settings: Settings, write: Write) -> None:
    try:
        answer = commit_here(settings, write)
    except (OSError, sqlite3.Error, MigrationError) as error:
        raise click.ClickException(f"{settings.database}: {error}") from None
    match answer:
        case Committed():
            return
        case Refused(_, detail) | Failed(detail):
            raise click.ClickException(detail)
        case _:
            raise click.ClickException("it was changed in the meantime; try again")
