"""A password in the address of a repository is told to nobody, whatever characters it has and wherever it is quoted."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.agent.agent_file import AgentFile, Repository
from rmactors.agent.masking import Mask, masked, shown

from .jobs import Jobs


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("rest:https://me:geheim@nas/repo", "rest:https://me:***@nas/repo"),
        ("rest:http://user:p@ss@host/", "rest:http://user:***@host/"),
        ("rest:http://user:p:a@s@s@host:8000/x", "rest:http://user:***@host:8000/x"),
        ("rest:http://user:p/a@ss@host/", "rest:http://user:***@host/"),
        ("rest:http://user:p?a#ss@host/", "rest:http://user:***@host/"),
        ("rest:http://user:pa ss@host/", "rest:http://user:***@host/"),
        ("rest:http://:only@host/", "rest:http://:***@host/"),
        ("rest:http://user:@host/", "rest:http://user:***@host/"),
        ("s3:https://KEY:SE/CR+ET@s3.example.org/bucket", "s3:https://KEY:***@s3.example.org/bucket"),
        ("sftp://me:pw@nas:22//srv/x", "sftp://me:***@nas:22//srv/x"),
        ("sftp:me:pw@nas:/srv/x", "sftp:me:***@nas:/srv/x"),
        ("rclone::sftp,host=nas,user=me,pass=abc:repo", "rclone::sftp,host=nas,user=me,pass=***:repo"),
        ("rest:http://host/repo?access_token=abc", "rest:http://host/repo?access_token=***"),
        # what has none stays as it is
        ("/srv/a@b:c@d", "/srv/a@b:c@d"),
        ("sftp:me@nas:/srv/a@b", "sftp:me@nas:/srv/a@b"),
        ("sftp:nas:/srv/a@b", "sftp:nas:/srv/a@b"),
        ("rest:https://me@nas/x", "rest:https://me@nas/x"),
        ("rest:https://nas:8000/me@home", "rest:https://nas:8000/me@home"),
        ("rest:http://[::1]:8000/me@home", "rest:http://[::1]:8000/me@home"),
        ("s3:s3.example.org/bucket@x", "s3:s3.example.org/bucket@x"),
        ("b2:bucket:path", "b2:bucket:path"),
    ],
)
def test_an_address_is_told_without_its_password(address: str, told: str) -> None:
    assert shown(address) == told


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=4).filter(
    lambda password: password.strip("*@") and not re.match(r"\d{0,5}/", password)  # which reads as a port
)


@settings(deadline=None)
@given(words)
def test_no_password_is_told_whatever_it_is(password: str) -> None:
    address = f"rest:http://me:{password}@nas.example/repo"
    assert shown(address) == "rest:http://me:***@nas.example/repo"
    assert password not in Mask(address)(f"Fatal: parse {address[5:]!r}: {password}: invalid").replace("nas", "")


def test_words_of_restic_are_told_without_the_password_in_any_spelling() -> None:
    mask = Mask("rest:http://me:p@ss%2Fword@nas/")
    said = 'Head "http://me:p%40ss%2Fword@nas/config": p@ss/word, http://me:p@ss%2Fword@nas/, http://nas/a@b'
    assert mask(said) == 'Head "http://me:***@nas/config": ***, http://me:***@nas/, http://nas/a@b'
    assert Mask("/srv/restic")("nothing to hide: a@b:c@d") == "nothing to hide: a@b:c@d"
    assert masked("no address") == "no address"
    assert masked('Get "https://a:b@c/x" and https://d:e@f') == 'Get "https://a:***@c/x" and https://d:***@f'


@pytest.mark.parametrize("password", ["geheim/wort", "geheim#wort"])
async def test_a_job_tells_the_server_no_password_of_an_address_that_restic_does_not_like(
    password: str, each_restic: str, tmp_path: Path
) -> None:
    (tmp_path / "pass").write_text("x")
    address = f"rest:http://me:{password}@127.0.0.1:1/"
    agent_file = AgentFile(
        allow=["snapshots"], restic=each_restic,
        repositories={"main": Repository(address, password_file=str(tmp_path / "pass"))},
    )  # fmt: skip
    jobs = Jobs(agent_file, tmp_path / "state")
    end = await jobs.do("snapshots", repository="main")
    told = "\n".join([end.verdict.error or "", str(end.stats), *jobs.said])
    assert end.verdict.status == "failed"
    assert "location failed" in told
    assert "geheim" not in told, told
    assert "wort" not in told
