"""The room that the database takes, on pages and in the metrics: on SQLite with what its disk has free, on PostgreSQL
without, for that disk is another machine's."""

from contextlib import closing
from pathlib import Path

import trio.testing

from rmactors.server.store.offline import prepare
from rmactors.server.store.place import Place, PostgresUrl
from rmactors.server.store.reader import Reader
from rmactors.server.web.metrics import Meters
from rmactors.server.web.views.storage import ServerStorage
from tests.databases import PostgresDatabases
from tests.store.ledger import Ledger
from tests.web.conftest import Site, reply, settings_for
from tests.web.test_metrics import parse, sources

ON_BOTH_ENGINES = True


async def test_the_menu_of_every_page_says_it(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    page = (await reply(await browser.get("/hosts"))).text
    assert "Database " in page
    assert (" free</span>" in page) == isinstance(site.services.settings.place, Path)
    assert "are left on the server" not in page


async def test_the_metrics_say_it(place: Place) -> None:
    Ledger(place).close()
    with closing(Reader(place)) as reader:
        found = parse(await Meters().render(sources(reader)))
    assert found["rmactors_database_bytes", ()] > 100_000
    of_disk = {("rmactors_disk_free_bytes", ()), ("rmactors_database_log_bytes", ())}
    assert of_disk & found.keys() == (of_disk if isinstance(place, Path) else set())


async def test_a_postgresql_is_asked_once_a_minute_and_one_that_is_away_holds_nobody_up(
    postgres_databases: PostgresDatabases, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    with closing(Reader(postgres_databases.new())) as reader:
        place, shown = reader.database, ServerStorage()
        assert isinstance(place, PostgresUrl)
        first = await shown.look(reader)
        assert first is not None
        assert first.words.startswith("Database ")
        assert (first.free, first.low) == ("", False)
        reader.database = PostgresUrl("postgresql://rm@127.0.0.1:1/rm")
        postgres_databases.give_back(place)  # its connections are cut off
        assert await shown.look(reader) == first
        mock_clock.jump(61)
        assert await shown.look(reader) is None
        reader.database = tmp_path / "rm.db"
        prepare(settings_for(tmp_path))
        assert await shown.look(reader) is None, "nor is that asked on each page"
        mock_clock.jump(61)
        assert await shown.look(reader) is not None
