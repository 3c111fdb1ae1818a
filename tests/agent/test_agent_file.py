"""`agent.toml`: what is accepted, and that every mistake is said with its key."""

from pathlib import Path

import pytest

from rmactors.agent.agent_file import AgentFile, AgentFileError, Repository, environment_of, load, load_or_empty, parse

GOOD = """
allow = ["backup", "forget", "prune", "check", "unlock"]

[repositories.main]
repository = "/srv/restic"
password_file = "/etc/rmactors/main.pass"

[plans.home]
repository = "main"
sources = ["/home"]
exclude = ["*.cache"]
keep = { daily = 7, weekly = 5, monthly = 12 }
"""


def test_the_documented_file_is_accepted() -> None:
    found = parse(GOOD)
    assert found.allow == ["backup", "forget", "prune", "check", "unlock"]
    assert found.plans["home"].keep is not None
    assert found.plans["home"].keep.weekly == 5
    assert found.repositories["main"].password_file == "/etc/rmactors/main.pass"


def test_an_empty_file_allows_nothing_that_destroys() -> None:
    assert parse("").allow == ["backup", "check"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("allow = [", "alow = ["), "unknown key 'alow'; did you mean 'allow'?"),
        (("password_file", "pasword_file"),
         "unknown key 'repositories.main.pasword_file'; did you mean 'password_file'?"),
        (("daily = 7", "dayly = 7"), "unknown key 'plans.home.keep.dayly'; did you mean 'daily'?"),
        (('"unlock"]', '"format"]'), "allow.*: must be some of backup, forget"),
        (('sources = ["/home"]', 'sources = "/home"'), "plans.home.sources: expected `array`, got `str`"),
        (('sources = ["/home"]', 'sources = ["home"]'), "plans.home.sources: 'home' must be an absolute path"),
        (('repository = "main"', 'repository = "mian"'), "there is no [repositories.mian]; did you mean 'main'?"),
        (("daily = 7", "daily = -1"), "plans.home.keep.daily: expected `int` >= 0"),
        (("daily = 7, weekly = 5, monthly = 12", ""), "plans.home.keep: keeps nothing"),
        (('password_file = "/etc/rmactors/main.pass"', ""), "repositories.main: needs password_file, password_command"),
        (('password_file = "/', 'password_command = "pass x"\npassword_file = "/'), "not both"),
        (("daily = 7", 'within = "1y\\n"'), "plans.home.keep.within: expected `str` matching"),
        (("[plans.home]", '[plans."ho me"]'), "plans: 'ho me' must be letters"),
        (('repository = "/srv/restic"', ""), "repositories.main: misses"),
        (('"/srv/restic"', '"srv/restic"'), "repositories.main.repository: 'srv/restic' must be an absolute"),
        (('"/srv/restic"', '"local:restic"'), "repositories.main.repository: 'local:restic' must be"),
        (('"/srv/restic"', '"-v"'), "repositories.main.repository: '-v' must be"),
        (("allow = [", 'restore_test_dir = "x"\nallow = ['), "restore_test_dir: 'x' must be an absolute path"),
        (('exclude = ["*.cache"]', 'exclude_file = "x"'), "plans.home.exclude_file: 'x' must be an absolute path"),
        (("allow = [", "allow = "), "this is not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_key(change: tuple[str, str], says: str) -> None:
    with pytest.raises(AgentFileError) as caught:
        parse(GOOD.replace(*change, 1))
    head, _, tail = says.partition(".*")
    assert head in str(caught.value)
    assert tail in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_only_where_it_was_named(tmp_path: Path) -> None:
    assert load_or_empty(tmp_path / "agent.toml", asked_for=False) == AgentFile(allow=[])
    with pytest.raises(AgentFileError, match="No such file"):
        load_or_empty(tmp_path / "agent.toml", asked_for=True)


@pytest.mark.parametrize(
    ("repository", "folder"),
    [
        ("/srv/restic", "/srv/restic"),
        ("local:/srv/restic", "/srv/restic"),
        ("s3:bucket", None),
        ("rest:http://h/", None),
    ],
)
def test_a_repository_on_this_machine_is_told_from_one_elsewhere(repository: str, folder: str | None) -> None:
    assert Repository(repository, password_file="/p").folder == folder


def test_a_folder_is_one_place_however_it_is_written() -> None:
    spellings = ("/srv/a", "/srv/a/", "local:/srv/a", "/srv/./a")
    assert {Repository(one, password_file="/p").place for one in spellings} == {"/srv/a"}
    assert Repository("sftp:nas:/srv/a", password_file="/p").place == "sftp:nas:/srv/a"


def test_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("x = 1")
    with pytest.raises(AgentFileError, match=str(tmp_path / "agent.toml")):
        load(tmp_path / "agent.toml")


def test_the_server_is_told_of_plans_without_passwords() -> None:
    (plan,) = parse(GOOD.replace("/srv/restic", "rest:https://me:geheim@nas/repo")).wire_plans()
    assert (plan.name, plan.sources) == ("home", ["/home"])
    assert plan.repository == "rest:https://me:***@nas/repo"


def test_an_environment_file_is_read_as_systemd_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\nAWS_ACCESS_KEY_ID=abc\nexport RESTIC_PASSWORD='a = b'\n\nEMPTY=\n")
    assert environment_of(str(file)) == {"AWS_ACCESS_KEY_ID": "abc", "RESTIC_PASSWORD": "a = b", "EMPTY": ""}
    file.write_text("no equals sign with a secret")
    with pytest.raises(AgentFileError, match="line 1: expected NAME=value") as caught:
        environment_of(str(file))
    assert "secret" not in str(caught.value)
