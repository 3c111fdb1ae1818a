"""Restoring from a page: what was chosen, where it may go, and what would come of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.common.text import steers
from rmactors.server.web.live_items import Preview
from rmactors.server.web.views import file_names
from rmactors.server.web.views.file_names import Name
from rmactors.server.web.views.folders import Seal, short_id
from rmactors.server.web.views.measures import size
from rmactors.server.web.views.no_answer import allow_line
from rmactors.server.web.views.texts import _, many

RESTORE: Final = "restore"
_LONGEST_NAME: Final = 255
_NAMED_BY_JOB: Final = "<job id>"
"""As agents end `into` where something lies in the target already."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nothing can be restored from here, and the line of agent.toml that is missing."""

    sentence: str
    line: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file or folder to restore; `value` is what the form sends."""

    path: Name
    said: str
    value: str


@dataclass(frozen=True, slots=True)
class RestoreForm:
    """`chosen` is empty for the whole snapshot. `targets` are the host's folders, `folder` the new one below."""

    snapshot: str
    short: str
    chosen: tuple[Chosen, ...]
    targets: tuple[str, ...]
    target: str
    folder: str
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a restore would do, in words. `unknown` says why that is not known, `trouble` what speaks against it;
    `possible`: it can be started."""

    facts: tuple[tuple[str, str], ...]
    unknown: str
    trouble: str
    possible: bool
    button: str


def form(
    snapshot: str,
    include: Sequence[str],
    seal: Seal,
    allow: Sequence[str] | None,
    targets: Sequence[str] | None,
    target: str,
    folder: str,
) -> RestoreForm:
    """`allow` and `targets` are the host's own lines; None: it does not tell."""
    known = tuple(targets or ())
    return RestoreForm(
        snapshot, short_id(snapshot),
        tuple(Chosen(file_names.name(path), file_names.said(path), seal(path)) for path in include),
        known, target if target in known else (known[0] if known else ""), folder, obstacles(allow, targets),
    )  # fmt: skip


def obstacles(allow: Sequence[str] | None, targets: Sequence[str] | None) -> tuple[Obstacle, ...]:
    """What agent.toml lacks before anything can be restored from a page."""
    found = []
    if allow is not None and RESTORE not in allow:
        found.append(Obstacle(_("The host does not allow restores."), allow_line(allow, RESTORE)))
    if not targets:
        found.append(
            Obstacle(
                _("The host names no folder to restore to. Name one that its agent's user owns:"),
                'restore_targets = ["/srv/restore"]',
            )
        )
    return tuple(found)


def usual_folder(plan: str, snapshot: str) -> str:
    """The name of the new folder where nobody chooses another."""
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in plan)
    return f"{safe.strip('.-')[:60] or 'restored'}-{short_id(snapshot)}"


def folder_problem(folder: str) -> str:
    """What is wrong with the name of a new folder; empty where nothing is."""
    if steers(folder):
        return _("must not contain control characters")
    parts = folder.split("/")
    if folder and any(part in ("", ".", "..") for part in parts):
        return _("must be a name, or names with / between them, below the folder above")
    if any(len(part.encode()) > _LONGEST_NAME for part in parts):
        return _("is too long: at most 255 bytes")
    return ""


def target_path(target: str, folder: str) -> str:
    return f"{target.rstrip('/')}/{folder}" if folder else target


def outlook(found: Preview, target: str) -> Outlook:
    """`target` is where it was asked to go, for an agent that does not say."""
    facts = [(_("Into"), _into(found.into or target))]
    if found.files is not None:
        facts.insert(0, (_("Files"), f"{found.files:,}"))
    if found.bytes is not None:
        facts.insert(len(facts) - 1, (_("Size"), size(found.bytes)))
    if found.free_bytes is not None:
        facts.append((_("Free there"), size(found.free_bytes)))
    trouble = ""
    if found.files == 0:
        trouble = _("Nothing would be restored: the snapshot has no files at what was chosen.")
    elif found.bytes is not None and found.free_bytes is not None and found.bytes > found.free_bytes:
        trouble = _("This is more than there is room for: the restore would fail when the disk is full.")
    unknown = _("The restic of this host cannot tell how much it would restore.") if found.files is None else ""
    return Outlook(tuple(facts), unknown, trouble, found.files != 0, _button(found.files))


def blind(sentence: str, target: str) -> Outlook:
    """What can be said where the agent could not tell; `sentence` says why."""
    return Outlook(((_("Into"), target),), sentence, "", True, _button(None))


def _into(folder: str) -> str:
    """The folder in words: what the agent calls `<job id>` has no name before the job has."""
    above = folder.removesuffix(f"/{_NAMED_BY_JOB}")
    return folder if above == folder else _("a new folder in %s, named by the job's id") % above


def _button(files: int | None) -> str:
    if files is None:
        return _("Restore without knowing how much")
    return many("Restore %(n)s file", "Restore %(n)s files", files)
