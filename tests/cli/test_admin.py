"""`rmactors admin` on a data dir, with a writer of the server beside it."""

import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rmactors.cli.admin import admin
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.store.offline import prepare
from rmactors.server.store.writer import connect
from rmactors.server.web.auth.setup import make_setup_token, token_file

PHRASE = "a long enough phrase"


def run(data_dir: Path, *arguments: str, stdin: str | None = None, **environment: str) -> Result:
    return CliRunner().invoke(
        admin, list(arguments), input=stdin, env={"RM_DATA_DIR": str(data_dir), **environment}, catch_exceptions=False
    )


def rows(data_dir: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(data_dir / "rm.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("way", ["environment", "file", "stdin", "prompt"])
def test_a_user_is_made_with_a_password_that_is_no_argument(tmp_path: Path, way: str) -> None:
    data_dir, file = tmp_path / "data", tmp_path / "password"
    file.write_text(PHRASE + "\n")
    arguments = ["create-user", "--username", "anna", "--role", "admin"]
    match way:
        case "environment":
            result = run(data_dir, *arguments, RM_PASSWORD=PHRASE)
        case "file":
            result = run(data_dir, *arguments, "--password-file", str(file))
        case "stdin":
            result = run(data_dir, *arguments, "--password-file", "-", stdin=PHRASE + "\n")
        case _:
            result = run(data_dir, *arguments, stdin=f"{PHRASE}\n{PHRASE}\n")
    assert result.exit_code == 0, result.output
    assert PHRASE not in result.output
    [(username, role, password_hash)] = rows(data_dir, "SELECT username, role, password_hash FROM users")
    assert (username, role) == ("anna", "admin")
    assert str(password_hash).startswith("$argon2id$")
    assert stat.S_IMODE((data_dir / "rm.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("username", "role", "password", "said"),
    [
        ("anna", "root", PHRASE, "root"),
        ("anna", "admin", "short", "at least 12"),
        ("anna", "admin", "password1234", "easy to guess"),
        ("a:b", "admin", PHRASE, "colon"),
    ],
)
def test_a_refused_user_says_why(tmp_path: Path, username: str, role: str, password: str, said: str) -> None:
    result = run(tmp_path, "create-user", "--username", username, "--role", role, RM_PASSWORD=password)
    assert result.exit_code != 0
    assert said in result.output


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    arguments = ["create-user", "--role", "viewer", "--username"]
    assert run(tmp_path, *arguments, "anna", RM_PASSWORD=PHRASE).exit_code == 0
    again = run(tmp_path, *arguments, "ANNA", RM_PASSWORD=PHRASE)
    assert again.exit_code == 1
    assert "there is a user" in again.output


def test_a_user_ends_the_first_run(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    make_setup_token(settings)
    assert token_file(settings).exists()
    run(tmp_path, "create-user", "--username", "anna", "--role", "admin", RM_PASSWORD=PHRASE)
    assert not token_file(settings).exists()
    assert make_setup_token(settings) is None


def test_an_api_token_stands_alone_on_stdout_and_is_kept_as_a_digest(tmp_path: Path) -> None:
    result = run(tmp_path, "create-api-token", "--name", "ci", "--role", "viewer", "--expires-days", "0.25")
    token = result.stdout.strip()
    assert result.stdout == f"{token}\n"
    [(digest, prefix, lifetime)] = rows(tmp_path, "SELECT token_hash, prefix, expires_at - created_at FROM api_tokens")
    assert digest == tokens.digest(token)
    assert token.startswith(str(prefix))
    assert lifetime == 6 * 3600 * 1_000_000


def test_an_enrollment_token_is_made_while_a_server_holds_the_database(tmp_path: Path) -> None:
    server = connect(prepare(Settings(data_dir=str(tmp_path))))
    try:
        result = run(tmp_path, "create-enrollment-token", "--ttl-minutes", "0.5")
        [found] = server.execute("SELECT token_hash, expires_at - created_at FROM enrollment_tokens").fetchall()
    finally:
        server.close()
    assert tuple(found) == (tokens.digest(result.stdout.strip()), 30_000_000)


@pytest.mark.parametrize(
    "arguments", [("create-enrollment-token", "--ttl-minutes", "0"), ("create-api-token", "--name", "x")]
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, *arguments).exit_code == 2


def test_every_command_leaves_an_audit_row(tmp_path: Path) -> None:
    run(tmp_path, "create-user", "--username", "anna", "--role", "admin", RM_PASSWORD=PHRASE)
    run(tmp_path, "create-api-token", "--name", "ci", "--role", "viewer")
    run(tmp_path, "create-enrollment-token")
    assert rows(tmp_path, "SELECT action, actor_kind FROM audit ORDER BY n") == [
        ("user.create", "system"),
        ("token.create", "system"),
        ("enrollment_token.create", "system"),
    ]
