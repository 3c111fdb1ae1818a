"""The first run: only anyone who reads the server's console or its data dir makes the first admin."""

import os
import stat
from pathlib import Path

from rmactors.common import clock
from rmactors.server.config.settings import Settings
from rmactors.server.web.auth.setup import VALID_FOR, make_setup_token, token_file
from tests.web.conftest import PASSWORD, Site


def form(token: str, **changes: str) -> dict[str, str]:
    return {"setup_token": token, "username": "anna", "password": PASSWORD, **changes}


def settings_of(site: Site) -> Settings:
    return site.services.settings


async def test_the_token_makes_the_first_admin_once_and_signs_them_in(site: Site) -> None:
    token = make_setup_token(settings_of(site))
    assert token is not None
    browser = site.browser()
    assert (await browser.get("/setup")).status_code == 200
    answer = await browser.post("/setup", form=form(token))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert (await browser.get("/api/users")).status_code == 200
    again = await site.browser().post("/setup", form=form(token, username="mallory"))
    assert again.headers["Location"] == "/login"
    assert [row["username"] for row in site.sql("SELECT username FROM users")] == ["anna"]
    assert not token_file(settings_of(site)).exists()


async def test_the_token_lies_in_a_file_for_the_owner_alone(site: Site) -> None:
    token = make_setup_token(settings_of(site))
    path = token_file(settings_of(site))
    assert path.read_text().strip() == token
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_a_wrong_token_makes_nobody(site: Site) -> None:
    make_setup_token(settings_of(site))
    answer = await site.browser().post("/setup", form=form("rmu_wrong"))
    assert answer.status_code == 422
    assert 'value="anna"' in await answer.get_data(as_text=True)
    assert site.sql("SELECT 1 FROM users") == []


async def test_a_token_expires_and_a_new_one_replaces_it(site: Site) -> None:
    old = make_setup_token(settings_of(site))
    new = make_setup_token(settings_of(site))
    assert old is not None
    assert new is not None
    assert (await site.browser().post("/setup", form=form(old))).status_code == 422
    site.clock.advance(VALID_FOR + clock.SECOND)
    assert (await site.browser().post("/setup", form=form(new))).status_code == 422


async def test_each_refused_field_explains_itself(site: Site) -> None:
    answer = await site.browser().post("/setup", form=form("", username="a:b", password="short"))
    text = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "colon" in text
    assert "at least 12" in text
    assert "Enter the token" in text


async def test_there_is_no_token_once_a_user_exists(site: Site) -> None:
    make_setup_token(settings_of(site))
    await site.user()
    assert make_setup_token(settings_of(site)) is None
    assert not token_file(settings_of(site)).exists()
    assert (await site.browser().get("/setup")).headers["Location"] == "/login"


async def test_guessing_the_token_is_throttled(site: Site) -> None:
    make_setup_token(settings_of(site))
    statuses = [(await site.browser().post("/setup", form=form(f"x{n}"))).status_code for n in range(11)]
    assert statuses == [422] * 10 + [429]


def test_a_token_is_made_on_an_empty_data_dir(tmp_path: Path) -> None:
    assert make_setup_token(Settings(data_dir=str(tmp_path / "data"))) is not None
