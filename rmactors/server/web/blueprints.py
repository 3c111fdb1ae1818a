"""The routes of a folder: each module in it that has a `blueprint`. A new page or part of the API needs no list."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from quart import Blueprint


def blueprints(package: ModuleType) -> Iterator[Blueprint]:
    """Of a package's modules, by their names."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        blueprint = getattr(import_module(found.name), "blueprint", None)
        if blueprint is not None:
            yield blueprint
