"""Debian's Alertmanager, also where it is only unpacked."""

from pathlib import Path
from typing import Final

from harness.tools import receiver

_TEMPLATES: Final = "/usr/share/prometheus/alertmanager"
_BESIDE: Final = "./" * ((len(_TEMPLATES) - len("template")) // 2) + "template"
assert len(_BESIDE) == len(_TEMPLATES)


def usable_program(folder: Path) -> Path:
    """The program, to be run in `folder` or where there is a link like the `template` in it. It looks for its templates
    where they are installed; one that is only unpacked gets a path of the same length in place of that."""
    found = Path(receiver("alertmanager", "prometheus-alertmanager"))
    if Path(_TEMPLATES).is_dir():
        return found
    usable = folder / found.name
    usable.write_bytes(found.read_bytes().replace(_TEMPLATES.encode(), _BESIDE.encode()))
    usable.chmod(0o755)
    (folder / "template").symlink_to(found.parent.parent / _TEMPLATES.removeprefix("/usr/"))
    return usable
