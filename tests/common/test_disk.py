"""Room on the data dir's disk, and where it is said."""

import os
from pathlib import Path

import pytest

from rmactors.common import disk
from rmactors.common.disk import free_space
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.migrations import migrate
from tests.web.conftest import Site, open_site, settings_for


def test_the_database_its_log_and_what_is_free(tmp_path: Path) -> None:
    database = tmp_path / "rm.db"
    before = free_space(database)
    assert (before.database, before.log) == (0, 0)
    connection = connect(database)
    migrate(connection)
    found = free_space(database)
    assert found.log == (tmp_path / "rm.db-wal").stat().st_size > 0
    connection.close()
    assert free_space(database).database == database.stat().st_size > found.database
    whole = os.statvfs(tmp_path)
    assert 0 < found.free <= whole.f_blocks * whole.f_frsize


@pytest.mark.parametrize(("least", "low"), [(0, False), (1 << 60, True)])
async def test_every_page_says_how_much_room_there_is_and_when_it_is_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int, low: bool
) -> None:
    monkeypatch.setattr(disk, "LEAST_FREE", least)
    async with open_site(settings_for(tmp_path / "data")) as site:
        page = await text(site, "/hosts")
        assert "Database " in page
        assert ("When it is full, no reports are stored" in page) is low


async def text(site: Site, path: str) -> str:
    await site.user()
    browser = await site.log_in()
    answer = await browser.get(path)
    assert answer.status_code == 200
    found: str = await answer.get_data(as_text=True)
    return found
