"""`make coverage`: every branch of the pure modules is taken by the tests that mirror them, by no others.

Which modules those are stands in `test_imports.PURE`; the tests of `name` are `tests/test_name.py` or `tests/name/`.
"""

import sys
from importlib import import_module
from pathlib import Path

import coverage
import pytest

from tests.test_imports import PURE, modules, under

HERE = Path(__file__).parent


def main() -> int:
    """0 where all tests pass and nothing is left out."""
    pure = under(*PURE)
    measured = coverage.Coverage(
        data_file=None, branch=True, include=[str(modules()[module]) for module in pure], config_file=False
    )
    measured.exclude("assert_never")  # what the type checker has shown never to be reached
    mirrors = [path for name in PURE for path in (HERE / name, HERE / f"test_{name}.py") if path.exists()]
    with measured.collect():
        failed = pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *map(str, mirrors)])
        for module in pure:  # one that no test imports is not left out of the account
            import_module(module)
    reached = measured.report(show_missing=True, skip_covered=True)
    return int(failed) or int(reached < 100)


if __name__ == "__main__":
    sys.exit(main())
