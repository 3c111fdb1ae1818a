"""Time zone data of a test's own: real zone files of the package tzdata, under other names."""

import shutil
from pathlib import Path

from rmactors.common import zones

PACKAGE = next(path for path in zones.all_folders() if path.parent.name == "tzdata")


def folder(path: Path, version: str | None, **names: str) -> Path:
    """Time zone data that says to be of `version`, with `names` as aliases of real zones (`__` for a slash)."""
    path.mkdir(parents=True, exist_ok=True)
    if version is not None:
        (path / "tzdata.zi").write_text(f"# version {version}\n# redo posix_only\nR d 1916 o - Jun 14 23s 1 S\n")
    for name, real in names.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(exist_ok=True)
        shutil.copy(PACKAGE / real, file)
    return path
