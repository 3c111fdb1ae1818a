"""`rmactors admin` on a data dir, with a writer of the server beside it."""

import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rmactors.cli.admin import admin
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.offline import prepare
from rmactors.server.web.auth.setup import make_setup_token, token_file
from tests.store.ledger import Ledger

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
    "arguments",
    [
        ("create-enrollment-token", "--ttl-minutes", "0"), ("create-enrollment-token", "--uses", "0"),
        ("create-enrollment-token", "--uses", "10001"), ("create-enrollment-token", "--tag", ""),
        ("create-enrollment-token", "--tag", "two\nlines"), ("create-enrollment-token", "--host", "nas", "--uses", "2"),
        ("create-enrollment-token", "--host", "nas", "--tag", "x"), ("create-api-token", "--name", "x"),
    ],
)  # fmt: skip
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


def test_an_enrollment_token_for_a_fleet_says_so_in_the_database_and_in_the_audit_trail(tmp_path: Path) -> None:
    arguments = ["--uses", "40", "--tag", "db", "--tag", "berlin", "--tag", "db"]
    assert run(tmp_path, "create-enrollment-token", *arguments).exit_code == 0
    assert rows(tmp_path, "SELECT uses, used, tags, for_host_id FROM enrollment_tokens") == [
        (40, 0, '["db", "berlin"]', None)
    ]
    assert rows(tmp_path, "SELECT detail FROM audit") == [("for 40 hosts, tags db berlin",)]


def test_an_enrollment_token_for_a_host_is_made_by_its_name(tmp_path: Path) -> None:
    ledger = Ledger(prepare(Settings(data_dir=str(tmp_path))))
    host_id = ledger.host("Db-03")
    ledger.close()
    result = run(tmp_path, "create-enrollment-token", "--host", "db-03")
    assert result.exit_code == 0, result.output
    digest = tokens.digest(result.stdout.strip())
    assert (digest, host_id) in rows(tmp_path, "SELECT token_hash, for_host_id FROM enrollment_tokens")
    unknown = run(tmp_path, "create-enrollment-token", "--host", "db-04")
    assert (unknown.exit_code, "there is no host 'db-04'" in unknown.output) == (1, True)


def test_a_refused_password_is_asked_for_again(tmp_path: Path) -> None:
    arguments = ["create-user", "--username", "anna", "--role", "admin"]
    result = run(tmp_path, *arguments, stdin=f"password1234\npassword1234\n{PHRASE}\n{PHRASE}\n")
    assert result.exit_code == 0, result.output
    assert "easy to guess" in result.output
    assert rows(tmp_path, "SELECT username FROM users") == [("anna",)]


def test_where_nobody_can_be_asked_a_refused_password_ends_the_command(tmp_path: Path) -> None:
    arguments = ["create-user", "--username", "anna", "--role", "admin"]
    result = run(tmp_path, *arguments, stdin="password1234\npassword1234\n")
    assert (result.exit_code, "easy to guess" in result.output) == (1, True)


# ---- a user who lost something


def with_a_second_factor(data_dir: Path) -> str:
    """A user with an open session, a second factor with its codes, and an API token; the id."""
    run(data_dir, "create-user", "--username", "anna", "--role", "admin", RM_PASSWORD=PHRASE)
    [(user_id,)] = rows(data_dir, "SELECT id FROM users")
    connection = sqlite3.connect(data_dir / "rm.db")
    with connection:
        connection.execute("UPDATE users SET totp_secret = x'00', totp_last_step = 5")
        connection.execute("INSERT INTO recovery_codes (user_id, code_hash) VALUES (?, 'x')", (user_id,))
        connection.execute(
            "INSERT INTO code_tries (user_id, kind, in_a_row, last_at) VALUES (?, 'totp', 9, 0)", (user_id,)
        )
        connection.execute(
            "INSERT INTO sessions (id, token_hash, user_id, created_at, last_seen_at, expires_at, proved_at,"
            " second_factor, address, user_agent) VALUES ('s', 'h', ?, 0, 0, 9, 0, 1, '', '')",
            (user_id,),
        )
        connection.execute(
            "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, created_at)"
            " VALUES ('p', ?, 'c', x'00', 0, 'phone', 0)",
            (user_id,),
        )
        connection.execute(
            "INSERT INTO api_tokens (id, name, role, prefix, token_hash, created_at, owner_id)"
            " VALUES ('t', 'ci', 'viewer', 'rma_', 'h', 0, ?)",
            (user_id,),
        )
    connection.close()
    return str(user_id)


def test_a_new_password_ends_sessions_and_leaves_the_second_factor(tmp_path: Path) -> None:
    user_id = with_a_second_factor(tmp_path)
    [(before,)] = rows(tmp_path, "SELECT password_hash FROM users")
    result = run(tmp_path, "reset-user", "--username", "ANNA", RM_PASSWORD="another long phrase")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "user 'anna' (admin): has a new password",
        "the second factor is still asked for: --second-factor turns it off",
        "sessions ended: 1",
        "API tokens that they made still work: 1; the page Users revokes them",
    ]
    [(after, secret)] = rows(tmp_path, "SELECT password_hash, totp_secret FROM users")
    assert (after != before, secret) == (True, b"\0")
    assert rows(tmp_path, "SELECT 1 FROM sessions UNION ALL SELECT 1 FROM code_tries") == []
    [row] = rows(tmp_path, "SELECT action, actor, target_id, detail FROM audit WHERE action = 'user.reset'")
    assert row == ("user.reset", "rmactors admin", user_id, "ANNA: password, sessions ended")


@pytest.mark.parametrize("password", ["", "another long phrase"], ids=["the old password", "a new password"])
def test_the_second_factor_is_turned_off_with_or_without_a_new_password(tmp_path: Path, password: str) -> None:
    with_a_second_factor(tmp_path)
    [(before,)] = rows(tmp_path, "SELECT password_hash FROM users")
    given = {"RM_PASSWORD": password} if password else {}
    result = run(tmp_path, "reset-user", "--username", "anna", "--second-factor", **given)
    assert result.exit_code == 0, result.output
    assert "the second factor is off" in result.output
    assert ("the password stays" in result.output) is not bool(password)
    [(after, secret)] = rows(tmp_path, "SELECT password_hash, totp_secret FROM users")
    assert ((after == before), secret) == (not password, None)
    assert rows(tmp_path, "SELECT 1 FROM recovery_codes UNION ALL SELECT 1 FROM passkeys") == []
    assert "passkeys removed: 1" in result.output


@pytest.mark.parametrize(
    ("username", "password", "said"), [("bert", "another long phrase", "no user 'bert'"), ("anna", "short", "at least")]
)
def test_a_reset_that_is_refused_changes_nothing(tmp_path: Path, username: str, password: str, said: str) -> None:
    with_a_second_factor(tmp_path)
    before = rows(tmp_path, "SELECT * FROM users")
    result = run(tmp_path, "reset-user", "--username", username, "--second-factor", RM_PASSWORD=password)
    assert (result.exit_code, said in result.output) == (1, True)
    assert rows(tmp_path, "SELECT * FROM users") == before
    assert len(rows(tmp_path, "SELECT 1 FROM sessions")) == 1


def test_a_user_who_is_not_there_is_named_before_a_password_is_asked_for(tmp_path: Path) -> None:
    with_a_second_factor(tmp_path)
    result = run(tmp_path, "reset-user", "--username", "bert")
    assert (result.exit_code, result.output) == (1, "Error: --username: there is no user 'bert'\n")


def test_who_signs_in_at_a_provider_has_nothing_here_to_reset(tmp_path: Path) -> None:
    with_a_second_factor(tmp_path)
    connection = sqlite3.connect(tmp_path / "rm.db")
    with connection:
        connection.execute("UPDATE users SET password_hash = '', issuer = 'https://id.example', subject = '1'")
    connection.close()
    result = run(tmp_path, "reset-user", "--username", "anna", RM_PASSWORD="another long phrase")
    assert (result.exit_code, "signs in at https://id.example" in result.output) == (1, True)
    assert rows(tmp_path, "SELECT password_hash FROM users") == [("",)]
