"""Which time zone data is used, and that newer data is seen while the process runs.

The folders here are made of real zone files under other names: what a machine has installed is no matter.
"""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rmactors.common import clock, cron, zones
from rmactors.common.zones import Zones
from tests.zone_folders import PACKAGE, folder

NOVEMBER = datetime(2026, 11, 20, 10, tzinfo=UTC)


def hours(of: Zones, name: str) -> float:
    """How far the zone is from UTC in November."""
    away = NOVEMBER.astimezone(of.zone(name)).utcoffset()
    assert away is not None
    return away.total_seconds() / 3600


@pytest.mark.parametrize(
    ("first", "second", "used"),
    [
        ("2025b", "2026f", -7),
        ("2026f", "2025b", -8),
        ("2026f", "2026f", -8),  # the system's, as Python does
        ("2026z", "2026za", -7),
        ("2026f", "2026aa", -7),
        (None, "2019a", -7),  # how old the first is, nobody knows
        ("2019a", None, -8),
        (None, None, -8),
        ("2025b-14-gabcdef", "2026a", -7),  # as developers of tzdata name theirs
    ],
)
def test_the_newer_data_is_used_wherever_it_lies(
    tmp_path: Path, first: str | None, second: str | None, used: int
) -> None:
    folders = [
        folder(tmp_path / "1", first, America__Vancouver="America/Los_Angeles"),
        folder(tmp_path / "2", second, America__Vancouver="America/Phoenix"),
    ]
    found = Zones(lambda: folders)
    assert hours(found, "America/Vancouver") == used
    assert found.version == (second if used == -7 else first or "").split("-")[0]  # type: ignore[union-attr]


def test_a_name_that_the_newer_data_lacks_is_taken_from_the_older(tmp_path: Path) -> None:
    """Debian 13 has the old names in a package of its own, tzdata-legacy."""
    new = folder(tmp_path / "new", "2026f", Asia__Tokyo="Asia/Tokyo")
    old = folder(tmp_path / "old", "2025b", Japan="Asia/Tokyo")
    assert hours(Zones(lambda: [new, old]), "Japan") == 9


def test_a_broken_file_of_the_newer_data_is_no_reason_to_stop(tmp_path: Path) -> None:
    new = folder(tmp_path / "new", "2026f")
    (new / "Japan").write_bytes(b"TZif2 but no more")
    (new / "Iran").write_bytes(b"")
    old = folder(tmp_path / "old", "2025b", Japan="Asia/Tokyo")
    found = Zones(lambda: [new, old])
    assert hours(found, "Japan") == 9
    with pytest.raises(ValueError, match="unknown time zone 'Iran'"):
        found.zone("Iran")


def test_the_version_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = folder(tmp_path / "bsd", None, Japan="Asia/Tokyo")
    (path / "+VERSION").write_text("2026b\n")
    assert Zones(lambda: [path]).version == "2026b"


def test_where_there_is_no_data_utc_alone_is_known(tmp_path: Path) -> None:
    found = Zones(lambda: [tmp_path / "nothing"])
    assert (found.version, found.data) == ("", ())
    assert found.zone("UTC") is UTC
    with pytest.raises(ValueError, match="unknown time zone 'Europe/Berlin'"):
        found.zone("Europe/Berlin")


@pytest.mark.parametrize(
    "name",
    ["Mars/Olympus", "", "Europe", "../etc/passwd", "/etc/localtime", "Z", "\0", "zone.tab", "tzdata.zi", "leapseconds",
     "Europe/Berlin/", "Europe//Berlin", "./UTC", "Europe/Berlin\n", "é", "A" * 5000],
)  # fmt: skip
def test_what_is_no_name_of_a_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        zones.zone(name)


def test_a_zone_is_known_by_its_name_and_read_once() -> None:
    assert str(zones.zone("Europe/Berlin")) == "Europe/Berlin"
    assert zones.zone("Europe/Berlin") is zones.zone("Europe/Berlin")


# ---- data that changes


def test_an_update_of_the_files_is_seen_by_a_running_process(tmp_path: Path) -> None:
    path = folder(tmp_path / "zoneinfo", "2025b", America__Vancouver="America/Los_Angeles", Japan="Asia/Tokyo")
    found = Zones(lambda: [path])
    assert hours(found, "America/Vancouver") == -8
    before = found.zone("Japan")
    assert not found.refresh(), "nothing has changed"
    folder(path, "2026f", America__Vancouver="America/Phoenix")
    assert hours(found, "America/Vancouver") == -8, "until somebody looks"
    assert found.refresh()
    assert hours(found, "America/Vancouver") == -7
    assert found.version == "2026f"
    assert found.zone("Japan") is before, "what is the same stays"


def test_a_change_under_the_same_version_is_seen(tmp_path: Path) -> None:
    """Distributions take single changes into an older version."""
    path = folder(tmp_path / "zoneinfo", "2025b", America__Vancouver="America/Los_Angeles")
    found = Zones(lambda: [path])
    found.zone("America/Vancouver")
    folder(path, "2025b", America__Vancouver="America/Phoenix")
    assert found.refresh()
    assert hours(found, "America/Vancouver") == -7


def test_the_other_data_may_become_the_newer_one(tmp_path: Path) -> None:
    system = folder(tmp_path / "system", "2025b", America__Vancouver="America/Los_Angeles")
    package = folder(tmp_path / "package", "2025b", America__Vancouver="America/Los_Angeles")
    found = Zones(lambda: [system, package])
    found.zone("America/Vancouver")
    folder(package, "2026f", America__Vancouver="America/Phoenix")
    assert found.refresh()
    assert (found.version, hours(found, "America/Vancouver")) == ("2026f", -7)


def test_a_package_that_is_just_being_replaced_changes_nothing(tmp_path: Path) -> None:
    """pip removes the old files before the new ones are there."""
    system = folder(tmp_path / "system", "2025b", America__Vancouver="America/Los_Angeles")
    package = folder(tmp_path / "package", "2026e", America__Vancouver="America/Phoenix", Europe__Here="Asia/Tokyo")
    found = Zones(lambda: [system, package])
    assert (hours(found, "America/Vancouver"), hours(found, "Europe/Here")) == (-7, 9)
    shutil.rmtree(package)
    assert not found.refresh()
    assert (found.version, hours(found, "America/Vancouver")) == ("2026e", -7)
    folder(package, "2026f", America__Vancouver="America/Phoenix", Europe__Here="Asia/Tokyo")
    assert found.refresh()
    assert found.version == "2026f"


def test_a_package_that_stays_away_is_gone(tmp_path: Path) -> None:
    system = folder(tmp_path / "system", "2025b", America__Vancouver="America/Los_Angeles")
    package = folder(tmp_path / "package", "2026e", America__Vancouver="America/Phoenix", Europe__Here="Asia/Tokyo")
    found = Zones(lambda: [system, package])
    assert (hours(found, "America/Vancouver"), hours(found, "Europe/Here")) == (-7, 9)
    shutil.rmtree(package)
    assert [found.refresh(), found.refresh(), found.refresh()] == [False, True, False]
    assert (found.version, hours(found, "America/Vancouver")) == ("2025b", -8)
    assert hours(found, "Europe/Here") == 9, "who knows it already goes on with it"


# ---- this process


def test_a_schedule_that_was_asked_for_before_fires_by_the_new_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path / "zoneinfo", "2025b", America__Vancouver="America/Los_Angeles")
    monkeypatch.setattr(zones, "_ours", Zones(lambda: [path]))
    since = clock.from_datetime(datetime(2026, 11, 20, tzinfo=UTC))

    def fires() -> str:
        return clock.to_rfc3339(cron.next_fire("0 3 * * *", "America/Vancouver", since))[:16]

    assert fires() == "2026-11-20T11:00"
    folder(path, "2026f", America__Vancouver="America/Phoenix")
    assert zones.refresh()
    assert fires() == "2026-11-20T10:00"


def test_an_old_system_does_not_hide_the_newer_package(tmp_path: Path) -> None:
    """As on Debian 12: the real choice of a fresh process, up to when a schedule fires."""
    old = folder(tmp_path / "zoneinfo", "2025b", America__Vancouver="America/Los_Angeles")
    shutil.copytree(PACKAGE, tmp_path / "site" / "tzdata" / "zoneinfo")
    (tmp_path / "site" / "tzdata" / "__init__.py").touch()
    folder(tmp_path / "site" / "tzdata" / "zoneinfo", "2999a", America__Vancouver="America/Phoenix")
    script = (
        "from rmactors.common import clock, cron, zones\n"
        "at = cron.next_fire('0 3 * * *', 'America/Vancouver', clock.from_rfc3339('2026-11-20T00:00:00Z'))\n"
        "print(zones.version(), clock.to_rfc3339(at)[:16], zones.ours().data[0].is_package)"
    )
    path = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONTZPATH": str(old), "PYTHONPATH": path}
    said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["2999a", "2026-11-20T10:00", "True"], said.stderr


def test_this_process_uses_no_data_older_than_the_package_it_depends_on() -> None:
    assert zones.age(zones.version()) >= zones.age(Zones(lambda: [PACKAGE]).version)
    assert not zones.refresh()


def test_without_the_package_the_systems_data_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "PACKAGE", "no_such_package_of_ours")
    assert all(path.parent.name != "tzdata" for path in zones.all_folders())
    monkeypatch.setattr(zones, "PACKAGE", "no.such_package")
    assert zones.all_folders() is not None
