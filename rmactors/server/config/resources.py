"""Where the files that are not Python live: `schema/` and `web/`, in a checkout or inside an installed wheel."""

from importlib.resources import files
from pathlib import Path

_PACKAGE = Path(str(files("rmactors")))


def path(name: str) -> Path:
    """The folder `schema`, `web/templates` or `web/static`. Raises FileNotFoundError if the install is broken."""
    for root in (_PACKAGE / "_files", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"{name} is missing from this installation of rmactors; install it again")
