"""What is asked before, and said after, something is done to many hosts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from rmactors.common.vocabulary import JOB_KINDS
from rmactors.server.web.outcomes import HostFailure, Outcome
from rmactors.server.web.views import words
from rmactors.server.web.views.texts import _, many

Action = Literal["run", "pause", "unpause", "silence", "tag", "untag", "delete"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
ADMINS: Final[frozenset[Action]] = frozenset({"tag", "untag", "delete"})
"""What takes the role admin, as it does for one host."""
KINDS: Final = tuple(kind for kind in JOB_KINDS if kind not in {"restore", "diff"})
"""Kinds of jobs that make sense on many hosts: a restore or a comparison is about one host's snapshot."""
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Question:
    """The page that asks: what is to be done, to whom (`more` hosts are not named), and what went wrong so far."""

    action: Action
    title: str
    lede: str
    button: str
    names: tuple[str, ...]
    more: str
    number: int
    who: str
    failed: tuple[HostFailure, ...]
    done: str


def question(action: Action, names: Sequence[str], outcome: Outcome) -> Question:
    title, lede, button = {
        "run": (_("Run a job on several hosts"), _("A host that is offline gets it when it returns."), _("Run now")),
        "pause": (_("Pause hosts"), _("None of their schedules runs until the pause is ended."), _("Pause")),
        "unpause": (_("End the pause"), _("Their schedules are on again."), _("End the pause")),
        "silence": (
            _("Silence hosts"), _("Notifications about them are held back. Alerts are still raised."), _("Silence"),
        ),
        "tag": (_("Add a tag"), _("Policies with this tag make their schedules on these hosts."), _("Add the tag")),
        "untag": (
            _("Remove a tag"), _("Schedules that policies made because of this tag are deleted."), _("Remove the tag"),
        ),
        "delete": (
            _("Delete hosts"),
            _("Deletes these hosts and their schedules, and resolves their alerts. Their agents can no longer connect."
              " Backups in the repositories stay."),
            _("Delete"),
        ),
    }[action]  # fmt: skip
    rest = len(names) - _NAMED
    more = many("and %(n)s more", "and %(n)s more", rest) if rest > 0 else ""
    who = many("%(n)s host:", "%(n)s hosts:", len(names))
    done = said(action, len(outcome.done)) if outcome.done else ""
    return Question(
        action, title, lede, button, tuple(names[:_NAMED]), more, len(names), who, tuple(outcome.failed), done
    )


def kinds() -> list[tuple[str, str]]:
    return [(kind, words.kind_name(kind)) for kind in KINDS]


def said(action: Action, number: int) -> str:
    """What was done, as a sentence."""
    match action:
        case "run":
            return many("Queued on %(n)s host.", "Queued on %(n)s hosts.", number)
        case "pause":
            return many("Paused %(n)s host.", "Paused %(n)s hosts.", number)
        case "unpause":
            return many("%(n)s host is no longer paused.", "%(n)s hosts are no longer paused.", number)
        case "silence":
            return many("Silenced %(n)s host.", "Silenced %(n)s hosts.", number)
        case "tag":
            return many("%(n)s host has the tag now.", "%(n)s hosts have the tag now.", number)
        case "untag":
            return many("The tag was removed from %(n)s host.", "The tag was removed from %(n)s hosts.", number)
        case "delete":
            return many("Deleted %(n)s host.", "Deleted %(n)s hosts.", number)
