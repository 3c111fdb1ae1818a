"""`rmactors config check`: what is in force, where it came from, and what is not shown."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rmactors.cli.main import main
from rmactors.cli.options import file_in_use

URL = "https://hc.example.org/ping/3f2a-the-secret"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("RM_")]:
        monkeypatch.delenv(name)
    empty = tmp_path / "nothing-is-set-here.toml"
    empty.touch()
    monkeypatch.setenv("RM_CONFIG", str(empty))


def check(*arguments: str, code: int = 0, **environment: str) -> Result:
    done = CliRunner().invoke(main, ["config", "check", *arguments], env=environment, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def found(*arguments: str, code: int = 0, **environment: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(check("--json", *arguments, code=code, **environment).stdout)
    return answer


def test_each_value_says_where_it_came_from(tmp_path: Path) -> None:
    file, secret = tmp_path / "rm.toml", tmp_path / "watchdog"
    file.write_text('listen = "127.0.0.1:1"\ntick_seconds = 5\nretain_jobs_days = 10\n')
    secret.write_text(URL + "\n")
    settings = found(
        "--config", str(file), RM_LISTEN="127.0.0.1:2", RM_WATCHDOG_URL_FILE=str(secret), RM_TICK_SECONDS="7.5"
    )["settings"]
    assert settings["listen"] == {"value": "127.0.0.1:2", "source": "RM_LISTEN"}
    assert settings["tick_seconds"] == {"value": "7.5", "source": "RM_TICK_SECONDS"}
    assert settings["retain_jobs_days"] == {"value": "10", "source": str(file)}
    assert settings["agent_listen"] == {"value": "127.0.0.1:8081", "source": "default"}
    assert settings["base_url"] == {"value": "http://127.0.0.1:2", "source": "default"}, "what follows from others"
    assert settings["watchdog_url"]["source"] == f"RM_WATCHDOG_URL_FILE ({secret})"


@pytest.mark.parametrize("way", ["variable", "file of its own", "settings file"])
def test_a_secret_is_never_shown(tmp_path: Path, way: str) -> None:
    file = tmp_path / "file"
    match way:
        case "variable":
            done = check(RM_WATCHDOG_URL=URL)
        case "file of its own":
            file.write_text(URL)
            done = check(RM_WATCHDOG_URL_FILE=str(file))
        case _:
            file.write_text(f'watchdog_url = "{URL}"')
            done = check("--config", str(file))
    assert "(set, not shown)" in done.output
    assert "3f2a" not in done.output


def test_a_secret_that_cannot_be_used_is_not_shown_either() -> None:
    assert "3f2a" not in check(RM_WATCHDOG_URL="ftp" + URL, code=1).output


def test_an_unknown_key_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "rm.toml"
    file.write_text('lisen = "127.0.0.1:1"\nretain_job_days = 3\nzzz = 1\n')
    said = check("--config", str(file), code=1).output
    assert "unknown key 'lisen'; did you mean listen?" in said
    assert "unknown key 'retain_job_days'; did you mean retain_jobs_days?" in said
    assert "unknown key 'zzz'\n" in said


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("RM_LISTN", "unknown variable RM_LISTN; did you mean RM_LISTEN?"),
        ("RM_DATADIR_FILE", "unknown variable RM_DATADIR_FILE; did you mean RM_DATA_DIR_FILE?"),
        ("RM_QQQQ", "unknown variable RM_QQQQ\n"),
    ],
)
def test_an_unknown_variable_is_an_error_with_the_nearest_name(variable: str, said: str) -> None:
    assert said in check(code=1, **{variable: "1"}).output


def test_variables_of_our_other_commands_are_known() -> None:
    check(RM_PASSWORD_FILE="x", RM_AGENT_CONFIG="x", RM_AGENT_STATE_DIR="x", RM_SERVER="x", RM_TOKEN="x", RM_JOB_ID="x")


def test_a_variable_and_its_file_cannot_both_be_set(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("b")
    said = check(RM_LISTEN="127.0.0.1:1", RM_LISTEN_FILE=str(tmp_path / "a"), code=1).output
    assert "RM_LISTEN and RM_LISTEN_FILE are both set" in said


def test_the_file_in_its_usual_place_is_read_when_none_is_named(tmp_path: Path) -> None:
    usual = tmp_path / "rmactors.toml"
    assert file_in_use(None, usual) is None
    usual.touch()
    assert file_in_use(None, usual) == str(usual)
    assert file_in_use("named.toml", usual) == "named.toml"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RM_LISTEN": "8080"}, "is not host:port"),
        ({"RM_TICK_SECONDS": "soon"}, "RM_TICK_SECONDS: tick_seconds must be a number of seconds"),
        ({"RM_RETAIN_JOBS_DAYS": "0"}, "more than 0"),
        ({"RM_COOKIE_SECURE": "maybe"}, "true or false"),
        ({"RM_OUTBOUND_ALLOW": "everything!"}, "is none of external, private"),
        ({"RM_TLS_CERT_FILE": "/nowhere", "RM_TLS_KEY_FILE": "/nowhere"}, "cannot be used"),
        ({"RM_TLS_CERT_FILE": "/nowhere"}, "go together"),
        ({"RM_TRUSTED_PROXIES": "10.0.0.0/99"}, "trusted_proxies"),
        ({"RM_BASE_URL": "backup.example.org"}, "begins with http or https"),
        ({"RM_LISTEN_FILE": "/nowhere"}, "RM_LISTEN_FILE"),
        ({"RM_CONFIG": "/nowhere.toml"}, "/nowhere.toml"),
    ],
)
def test_what_cannot_be_used_is_said(variables: dict[str, str], said: str) -> None:
    done = check(code=1, **variables)
    assert said in done.output
    assert "Traceback" not in done.output
