"""What a restore test leaves where its agent is killed: nothing, once the next one has begun. Real agents."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.restore_kills import RestoreTester, kill_at
from tests.restics import INSTALLED_SAFELY, restics

pytestmark = pytest.mark.skipif(not INSTALLED_SAFELY, reason="an agent does not run what others could change")
RESTICS = list(restics().values())


@pytest.fixture(params=["in the state dir", "elsewhere"])
def tester(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RestoreTester]:
    if not RESTICS:
        pytest.skip("no restic is here")
    place = None if request.param == "in the state dir" else tmp_path / "elsewhere"
    if place is not None:
        place.mkdir()
    tester = RestoreTester(tmp_path / "host", random.choice(RESTICS), place)
    yield tester
    tester.end()


def test_a_folder_is_gone_after_a_kill_in_the_middle_and_at_any_instant(tester: RestoreTester) -> None:
    tester.start()
    tester.until_it_writes()
    killed = tester.kill()
    assert killed.folders
    for _ in range(2):
        later = kill_at(tester, random.uniform(0.5, 2.5))
        tester.start(testing=False)
        tester.until_gone(killed)
        tester.until_gone(later)
        tester.end()
        assert tester.folders == tester.entries == []
        killed = later


def test_a_restic_that_nobody_watches_is_ended_before_its_folder_is_removed(tester: RestoreTester) -> None:
    tester.start()
    killed = tester.kill_with_watchers()
    assert killed.writing
    tester.start(testing=False)
    tester.until_gone(killed)
    tester.end()
    assert tester.folders == tester.entries == []
