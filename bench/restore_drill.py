"""The drill of restore tests: their agent is killed at random instants, and nothing of them may be left.

    python -m bench.drill --restore-tests [--seed N]

Real agents, with each restic that is here, and private folders in the state dir and elsewhere by turns. After each
SIGKILL another agent is started on the same state dir: soon the killed one's folder is gone, and no restic of its is
left. At last a pack is removed from each repository, which the next test must find: restic 0.14 tries for 90 s.
Exits 1 where anything was left or was not found.
"""

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import click

from harness.restore_kills import RestoreTester, kill_at

KILLS: Final = 50
_LATEST: Final = 3.0
"""Seconds after its start, or after its first test began, by which an agent is killed. A test takes about two."""


def main(seed: int | None) -> int:
    """0 where nothing was left and everything was found."""
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    click.echo(f"seed {seed}", err=True)
    dice, began, problems = random.Random(seed), time.monotonic(), []
    with_folder = with_restic = 0
    with tempfile.TemporaryDirectory() as folder:
        testers = _testers(Path(folder))
        for number in range(KILLS):
            tester = testers[number % len(testers)]
            of_a_test = number % 4 != 0  # else also while it starts
            killed = kill_at(tester, dice.uniform(0.0, _LATEST), of_a_test=of_a_test)
            with_folder += bool(killed.folders)
            with_restic += bool(killed.writing)
            tester.start(testing=False)
            try:
                tester.until_gone(killed)
            except AssertionError as error:
                problems.append(f"left after kill {number + 1}: {tester.left_of(killed)}\n{error}")
            tester.end()
            if tester.entries:
                problems.append(f"remembered after kill {number + 1}: {tester.entries}")
        for tester in testers:
            tester.remove_a_pack()
            tester.start()
            if (end := tester.first_failure()).reason != "corrupt" or "could not be restored" not in (end.error or ""):
                problems.append(f"a missing pack was not found: {end}")
            tester.end()
    for name, value in (
        ("kills", KILLS), ("of these with a private folder", with_folder), ("with a restic that wrote", with_restic),
        ("restics", len(testers) // 2), ("seconds", round(time.monotonic() - began)), ("problems", len(problems)),
    ):  # fmt: skip
        click.echo(f"{name:<40} {value}")
    for problem in problems[:20]:
        click.echo(problem, err=True)
    return int(bool(problems) or not with_restic)


def _testers(folder: Path) -> list[RestoreTester]:
    found = []
    fetched = sorted(Path(sys.prefix, "tools", "restics").glob("*/restic"))
    for number, restic in enumerate(map(str, fetched) if fetched else ["restic"]):
        for place in (None, folder / f"place-{number}"):
            if place is not None:
                place.mkdir()
            found.append(RestoreTester(folder / f"{number}-{place is None}", restic, place))
    return found
