"""Words that have been replaced stay replaced: one word for one thing, the one that the field uses."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
READ_BY_PEOPLE = [
    *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md"),
    *(ROOT / "web" / "templates").rglob("*.html"), *(ROOT / "web" / "static").glob("*.js"),
    *(path for folder in ("rmactors", "harness", "bench", "tests") for path in (ROOT / folder).rglob("*.py")),
]  # fmt: skip
MAY_NAME_THEM = {Path(__file__), ROOT / "CHANGELOG.md"}
"""The changelog says what was renamed."""

REPLACED = {
    # one spelling
    r"\b[Ee]nrol(?!l)\w*": "enroll, enrollment",
    # the field's words for things
    r"\b[Ee]rrands?\b": "pending command",
    r"\bJobsUnderWay\b|\bunder way\b": "in flight, running",
    r"\bPassage\b": "InFlightReport",
    r"\bGreeted\b|\bTakeOver\b": "AgentSession, Accepted",
    r"\bHostDesk\b|\b_Desk\b": "PendingWork, HostPipeline",
    r"\bBook\b": "HostState",
    r"\bTrack\b": "AlertState",
    r"\b[Pp]arcels?\b": "batch",
    r"\bNotice\b": "Notification",
    r"\bPokes?\b": "Wakeup",
    r"\bWorkshop\b": "JobRunner",
    r"\bTimetable\b": "Scheduler",
    r"\bEars\b": "Callbacks",
    r"\bauth\.doors\b|\bknock\b": "LoginGuard, check",
    r"\bStranger\b|\bleave_late\b": "Slot, penalise",
    r"\bgive_to_owner_of\b": "chown_like",
    # plain words
    r"\bfor ever\b": "forever, or for how long",
    r"\banew\b": "again",
    r"\bset(?:s|ting)? out\b": "start, send",
    r"\bon (?:its|their) way\b": "in flight",
    r"\b[Ww]hoever\b": "the user, the caller, anyone who",
    r"\breckon\w*": "reconcile, account",
}
"""Pattern → what to write instead."""


@pytest.mark.parametrize("pattern", REPLACED)
def test_a_replaced_word_does_not_come_back(pattern: str) -> None:
    word = re.compile(pattern)
    hits = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in READ_BY_PEOPLE
        if path not in MAY_NAME_THEM
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if word.search(line) or word.search(line.replace("_", " "))  # a name is words too
    ]
    assert not hits, f"write {REPLACED[pattern]!r}:\n" + "\n".join(hits)


def test_there_is_something_to_read() -> None:
    assert len(READ_BY_PEOPLE) > 500
