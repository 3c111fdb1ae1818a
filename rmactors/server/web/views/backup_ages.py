"""The table of backup ages: rows, the links that sort and narrow it, and the same as a sheet. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from rmactors.common import clock
from rmactors.common.bounds import NAME, cut
from rmactors.server.state.ages import AGE_STATES, AgeState
from rmactors.server.store.queries.backup_ages import AGE_SORTS, AgeFilter, AgeOrder, AgePage, AgeRow, AgeSort
from rmactors.server.web import rows as guard
from rmactors.server.web.views import words
from rmactors.server.web.views.measures import number, size
from rmactors.server.web.views.restore_tests import files_and_bytes
from rmactors.server.web.views.texts import _, later, many
from rmactors.server.web.views.times import Moment, Time, duration, rough
from rmactors.server.web.views.words import State, Tone

PATH: Final = "/backups"
EVERYTHING: Final = AgeFilter()
WORST_FIRST: Final = AgeOrder()
_TAG_LONGEST: Final = 100
_IN_HOURS: Final = 72.0
"""Limits up to here are shown in hours."""


@dataclass(frozen=True, slots=True)
class AgeQuery:
    """What a URL asks for: which rows, in which order."""

    wanted: AgeFilter = EVERYTHING
    order: AgeOrder = WORST_FIRST


@dataclass(frozen=True, slots=True)
class AgeLine:
    """One row, of the host with this id and name. `plan_sub` says where it is backed up to. `good` is None if no good
    backup is known, `good_href` empty if its job is kept no more; `limit` is empty if there is none. `left` says how
    long there is left, or how long it is over, in `left_tone`."""

    id: str
    name: str
    tags: str
    plan: str
    plan_sub: str
    state: State
    state_href: str
    good: Time | None
    good_sub: str
    good_href: str
    limit: str
    limit_sub: str
    left: str
    left_tone: Tone
    tested: Time | None
    tested_sub: str
    tested_href: str
    attempt: Time | None
    attempt_state: State | None
    attempt_sub: str
    attempt_href: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A link or an option that narrows the list."""

    value: str
    word: str
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class SortLink:
    """Sorts by a column; again, the other way round. `direction` is empty, `ascending` or `descending`."""

    word: str
    href: str
    direction: str


@dataclass(frozen=True, slots=True)
class AgeTable:
    """`columns` are the heads, each with the links of what stands in it. `empty` is a title and a sentence where
    nothing is shown. `sort`, `state` and `host_id` are as the URL has them."""

    lines: tuple[AgeLine, ...]
    states: tuple[Choice, ...]
    tags: tuple[Choice, ...]
    columns: tuple[tuple[SortLink, ...], ...]
    sorts: tuple[Choice, ...]
    sort: str
    state: str
    host_id: str
    csv_href: str
    empty: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a state there are, and where they are listed."""

    state: State
    href: str


@dataclass(frozen=True, slots=True)
class AgeGlance:
    """The worst rows, for the dashboard, and how many there are of each state: only of those that there are."""

    lines: tuple[AgeLine, ...]
    columns: tuple[tuple[SortLink, ...], ...]
    counts: tuple[Count, ...]
    more: str


_COLUMNS: Final[tuple[tuple[AgeSort, ...], ...]] = (
    ("host",), ("plan", "repository"), ("state",), ("newest_good", "files", "bytes"), ("limit",), ("left",),
    ("restore_test",), ("attempt", "outcome"),
)  # fmt: skip
_SORT_WORDS: Final[Mapping[AgeSort, str]] = {
    "state": later("State"),
    "host": later("Host"),
    "plan": later("Plan"),
    "repository": later("Repository"),
    "newest_good": later("Newest good backup"),
    "files": later("Files"),
    "bytes": later("Size"),
    "limit": later("Limit"),
    "left": later("Left"),
    "restore_test": later("Restore test"),
    "attempt": later("Newest attempt"),
    "outcome": later("Outcome"),
}
_STATE_WORDS: Final[Mapping[AgeState, tuple[Tone, str]]] = {
    "overdue": ("bad", later("Overdue")),
    "never": ("warn", later("Never")),
    "no_limit": ("off", later("No limit")),
    "ok": ("ok", later("In time")),
}
_IN_SENTENCE: Final[Mapping[AgeState, str]] = {
    "overdue": later("overdue"),
    "never": later("never backed up"),
    "no_limit": later("without a limit"),
    "ok": later("in time"),
}


# ---- what a URL asks for


def query_from(given: Mapping[str, str]) -> AgeQuery:
    """What is not a known word counts as not given: a page is no API."""
    state, host = given.get("state"), given.get("host")
    return AgeQuery(
        AgeFilter(
            (given.get("tag") or "").replace("\0", "")[:_TAG_LONGEST] or None,
            host[:26] if host else None,
            state if state in AGE_STATES else None,
        ),
        order_from(given.get("sort", "")) or WORST_FIRST,
    )


def order_from(text: str) -> AgeOrder | None:
    """`left` or `-left`; None for what is no column."""
    by = text.removeprefix("-")
    return AgeOrder(by, text.startswith("-")) if by in AGE_SORTS else None


def order_text(order: AgeOrder) -> str:
    return f"{'-' if order.descending else ''}{order.by}"


def href(asked: AgeQuery, path: str = PATH) -> str:
    """The table so narrowed and sorted; defaults are left out."""
    wanted, sort = asked.wanted, order_text(asked.order)
    parts = {
        "state": wanted.state, "tag": wanted.tag, "host": wanted.host_id, "sort": sort if sort != "state" else None,
    }  # fmt: skip
    query = urlencode({name: value for name, value in parts.items() if value})
    return path + (f"?{query}" if query else "")


# ---- the page


def table(found: AgePage, asked: AgeQuery, tags: Sequence[str], moment: Moment) -> AgeTable:
    """`tags` are those to choose from."""
    wanted, order = asked.wanted, asked.order
    return AgeTable(
        lines=_lines(found, moment),
        states=(
            _choice(_("All"), sum(found.counts.values()), asked, None),
            *(_choice(_word(state), found.counts.get(state, 0), asked, state) for state in AGE_STATES),
        ),
        tags=tuple(Choice(tag, tag, "", tag == wanted.tag) for tag in tags),
        columns=_columns(asked),
        sorts=tuple(Choice(order_text(way), word, "", way == order) for by in AGE_SORTS for way, word in _ways(by)),
        sort=order_text(order) if order != WORST_FIRST else "",
        state=wanted.state or "",
        host_id=wanted.host_id or "",
        csv_href=href(asked, f"{PATH}.csv"),
        empty=None if found.items else _empty(wanted),
    )


def glance(found: AgePage, moment: Moment) -> AgeGlance:
    """Of the first page in the usual order."""
    counts = [(state, counted) for state in AGE_STATES if (counted := found.counts.get(state, 0))]
    more = sum(found.counts.values()) - len(found.items)
    return AgeGlance(
        _lines(found, moment),
        _columns(AgeQuery()),
        tuple(
            Count(State(state_of(state).tone, f"{number(counted)} {_(_IN_SENTENCE[state])}"), _href_of(state))
            for state, counted in counts
        ),
        many("%(n)s more plan", "%(n)s more plans", more) if more > 0 else "",
    )


def _choice(word: str, many_of_it: int, asked: AgeQuery, state: AgeState | None) -> Choice:
    narrowed = replace(asked, wanted=replace(asked.wanted, state=state))
    return Choice(state or "", f"{word} {number(many_of_it)}", href(narrowed), asked.wanted.state == state)


def _href_of(state: AgeState) -> str:
    return href(AgeQuery(AgeFilter(state=state)))


def _columns(asked: AgeQuery) -> tuple[tuple[SortLink, ...], ...]:
    return tuple(tuple(_sort_link(by, asked) for by in column) for column in _COLUMNS)


def _sort_link(by: AgeSort, asked: AgeQuery) -> SortLink:
    now = asked.order
    is_it = now.by == by
    other_way = AgeOrder(by, descending=is_it and not now.descending)
    direction = ("descending" if now.descending else "ascending") if is_it else ""
    return SortLink(_(_SORT_WORDS[by]), href(replace(asked, order=other_way)), direction)


def _ways(by: AgeSort) -> tuple[tuple[AgeOrder, str], ...]:
    word = _(_SORT_WORDS[by])
    if by == "state":
        return ((AgeOrder(by), _("Worst first")), (AgeOrder(by, descending=True), _("Best first")))
    return (AgeOrder(by), f"{word} ↑"), (AgeOrder(by, descending=True), f"{word} ↓")


def _empty(wanted: AgeFilter) -> tuple[str, str]:
    if wanted != EVERYTHING:
        return _("No matches"), _("No plan matches these filters.")
    return _("No plans yet"), _(
        "A plan appears here as soon as an agent tells of it, a schedule names it, or a backup of it is reported."
    )


def _lines(found: AgePage, moment: Moment) -> tuple[AgeLine, ...]:
    return tuple(guard.each(found.items, lambda row: line(row, moment), guard.line(AgeLine)))


def line(row: AgeRow, moment: Moment) -> AgeLine:
    """One row in words."""
    age, attempt, tested = row.age, row.attempt, row.age.restore_test
    left, tone = left_words(row, moment)
    return AgeLine(
        id=age.host.id,
        name=age.host.name,
        tags=", ".join(age.host.tags),
        plan=cut(plan_name(row), NAME),
        plan_sub=_plan_sub(row),
        state=state_of(age.state),
        state_href=f"/alerts/{row.alert_id}" if row.alert_id is not None else "",
        good=moment.ago(age.newest_good_at) if age.newest_good_at is not None else None,
        good_sub=" · ".join(filter(None, (_files(row.good.files), size(row.good.bytes)))),
        good_href=_job(row.good.job_id),
        limit=_limit(age.limit_hours),
        limit_sub=age.limited_by.name if age.limited_by is not None else "",
        left=left,
        left_tone=tone,
        tested=moment.ago(tested.at) if tested is not None else None,
        tested_sub=_tested(row.test_stats),
        tested_href=_job(row.test_job_id),
        attempt=moment.ago(attempt.at) if attempt is not None else None,
        attempt_state=words.job_status(attempt.status) if attempt is not None else None,
        attempt_sub=words.sentence(words.reason(attempt.reason)) if attempt is not None else "",
        attempt_href=_job(attempt.job_id if attempt is not None else None),
    )


def plan_name(row: AgeRow) -> str:
    """The plan's; of what names none, the name of the schedule that runs it."""
    age = row.age
    if age.plan is not None:
        return age.plan
    return age.schedules[0].name if age.schedules else _("backups without a plan")


def state_of(state: AgeState) -> State:
    tone, word = _STATE_WORDS[state]
    return State(tone, _(word))


def left_words(row: AgeRow, moment: Moment) -> tuple[str, Tone]:
    """`3 h left`, `2 d over`; empty without a limit."""
    due = row.age.due_at
    if due is None:
        return "", "off"
    seconds = (due - moment.now) / clock.SECOND
    if seconds > 0:
        return _("%s left") % rough(seconds), "bad" if row.age.state == "overdue" else "off"
    return _("%s over") % rough(-seconds), "bad"


def _plan_sub(row: AgeRow) -> str:
    """Where to, and what is odd about the plan."""
    age = row.age
    odd = ""
    if age.plan is None and age.schedules:
        odd = _("a schedule that names no plan")
    elif age.in_file is False:
        odd = _("not in the agent's file")
    return " · ".join(filter(None, (cut(age.repository, NAME), odd)))


def _limit(hours: float | None) -> str:
    """`26 h`, as it was set; long ones in days."""
    if hours is None:
        return ""
    return f"{hours:g} {_('h')}" if 1 <= hours <= _IN_HOURS else duration(hours * 3600)


def _word(state: AgeState) -> str:
    return _(_STATE_WORDS[state][1])


def _files(count: int | None) -> str:
    return many("%(n)s file", "%(n)s files", count) if count is not None else ""


def _tested(text: str) -> str:
    """`20 files · 312 MB`: what the restore test compared, as far as it says."""
    files, held = files_and_bytes(text)
    return " · ".join(filter(None, (_files(files), size(held))))


def _job(job_id: str | None) -> str:
    return f"/jobs/{job_id}" if job_id is not None else ""


# ---- the sheet

SHEET: Final = (
    "as_of", "host", "tags", "plan", "repository", "state", "newest_good_at", "age_hours", "files", "bytes",
    "limit_hours", "limited_by", "due_at", "left_hours", "over_hours", "last_restore_test_at", "newest_attempt_at",
    "newest_attempt_status", "newest_attempt_reason",
)  # fmt: skip


def cells(row: AgeRow, now: int) -> list[str]:
    """A row of the sheet: what is not known is empty, and no number is negative."""
    age, attempt, tested = row.age, row.attempt, row.age.restore_test
    left = age.due_at - now if age.due_at is not None else None
    values: tuple[Any, ...] = (
        clock.to_rfc3339(now), age.host.name, ", ".join(age.host.tags), plan_name(row), cut(age.repository, NAME),
        age.state,
        _time(age.newest_good_at), _hours(now - age.newest_good_at if age.newest_good_at is not None else None),
        row.good.files, row.good.bytes,
        f"{age.limit_hours:g}" if age.limit_hours is not None else None,
        age.limited_by.name if age.limited_by is not None else None, _time(age.due_at),
        _hours(left if left is not None and left > 0 else None),
        _hours(-left if left is not None and left <= 0 else None),
        _time(tested.at if tested is not None else None), _time(attempt.at if attempt is not None else None),
        attempt.status if attempt is not None else None, attempt.reason if attempt is not None else None,
    )  # fmt: skip
    return ["" if value is None else str(value) for value in values]


def _time(at: int | None) -> str | None:
    return clock.to_rfc3339(at) if at is not None else None


def _hours(micros: int | None) -> str | None:
    return f"{max(0, micros) / clock.HOUR:.2f}" if micros is not None else None
