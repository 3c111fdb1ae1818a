"""`make coverage`: every branch of the pure modules is taken by the tests that mirror them, by no others.

Which modules those are, `test_imports.pure` says. The tests of an actor's pure modules are in the folder of `tests/`
that is named like the actor; those of any other module in `test_<module>.py`, in the folder named like its own.
"""

import sys
from importlib import import_module
from pathlib import Path

import coverage
import pytest

from tests.test_imports import ACTORS, modules, pure

HERE = Path(__file__).parent


def main() -> int:
    """0 where all tests pass and nothing is left out."""
    measured = coverage.Coverage(
        data_file=None, branch=True, include=[str(modules()[module]) for module in pure()], config_file=False
    )
    measured.exclude("assert_never")  # what the type checker has shown never to be reached
    folders = {HERE / name for name in ACTORS if name != "store"}
    places = [(module.split(".")[-2], f"test_{module.split('.')[-1]}.py") for module in pure()]
    files = {path for folder, name in places for path in (HERE / folder / name, HERE / name) if path.exists()}
    mirrors = sorted(folders | {path for path in files if path.parent not in folders})
    with measured.collect():
        failed = pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *map(str, mirrors)])
        for module in pure():  # one that no test imports is not left out of the account
            import_module(module)
    reached = measured.report(show_missing=True, skip_covered=True)
    return int(failed) or int(reached < 100)


if __name__ == "__main__":
    sys.exit(main())
