"""Which files restic could not restore, and why: out of what it said. Pure.

From 0.17 on it says so in JSON, before that in plain text. What `--verify` finds is named by where it lies now, all
else by where it lies in the snapshot. Owners, times and attributes that cannot be set here say nothing about what was
backed up.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rmactors.agent.output_summary import OutputSummary
from rmactors.agent.restore_test.sampling import Entry
from rmactors.common.text import printable

_PLAIN: Final = "ignoring error for "
_ABOUT_METADATA: Final = re.compile(
    r"^(lchown|chown|chmod|UtimesNano|utimensat|[Xx]attr|lsetxattr|setxattr)\b|operation not permitted|"
    r"operation not supported"
)
_NOT_THERE: Final = re.compile(r"^(lchown|chown|chmod|UtimesNano|utimensat)\b.*no such file or directory")
"""What follows where a file was not written at all: the cause was said before."""
_DAMAGE: Final = re.compile(
    r"ciphertext verification failed|no such file or directory|does not exist|too short|unexpected EOF|"
    r"[Uu]nexpected content|Invalid file size|not found|hash does not match|unexpected pack id|invalid data|"
    r"HTTP response \(404\)"
)
_COUNTED: Final = re.compile(r"There were (\d+) errors")
NO_ROOM: Final = re.compile(r"no space left on device|disk quota exceeded|file too large")


@dataclass(frozen=True, slots=True)
class Troubles:
    """`files` are those whose data did not come, each with restic's words; `metadata` counts the rest. `complete`:
    restic had no others."""

    files: Mapping[str, str]
    metadata: int
    complete: bool

    @property
    def damage(self) -> bool:
        """Whether some of it says that data is gone or damaged."""
        return any(_DAMAGE.search(words) and not NO_ROOM.search(words) for words in self.files.values())


def troubles_of(summary: OutputSummary, sample: list[Entry], folder: str) -> Troubles:
    """`folder` is where restic restored to."""
    paths = {_shown(entry.path): entry.path for entry in sample}
    found: dict[str, str] = {}
    metadata = 0
    said = list(_said(summary, folder, list(paths)))
    for item, words in said:
        path = paths.get(item)
        if _NOT_THERE.search(words):
            continue
        if path is None or _ABOUT_METADATA.search(words):
            metadata += 1
        else:
            found.setdefault(path, words.replace(folder, ""))
    last = summary.exit_error.message if summary.exit_error is not None else summary.first_fatal or ""
    counted = _COUNTED.search(last)
    complete = counted is not None and int(counted[1]) == len(said)
    if not complete:  # more was said than is kept: who is named there may have lost its data
        words = next(iter(found.values()), summary.first_unrestored) or "restic could not restore it"
        named = (paths.get(item.removeprefix(folder)) for item in sorted(summary.unrestored))
        found |= {path: words.replace(folder, "") for path in named if path is not None and path not in found}
    return Troubles(found, metadata, complete)


def _said(summary: OutputSummary, folder: str, paths: list[str]) -> Iterator[tuple[str, str]]:
    """Path in the snapshot, and what went wrong with it."""
    for trouble in summary.first_troubles:
        yield trouble.item.removeprefix(folder), trouble.message
    for line in summary.last_stderr:
        if line.startswith(_PLAIN):
            text = line.removeprefix(_PLAIN).removeprefix(folder)
            # A path may have a colon in it: those of the sample are known, the longest that fits is meant.
            path = max((path for path in paths if text.startswith(f"{path}: ")), key=len, default=None)
            yield (path, text[len(path) + 2 :]) if path is not None else ("", text.partition(": ")[2])


def _shown(path: str) -> str:
    """As it comes out of `restic_output`."""
    return printable(path.strip()[:4000])
