"""Repositories as a list and one by one: how large, how fast they grow, when they were last checked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from rmactors.common import clock
from rmactors.common.clock import DAY, MINUTE
from rmactors.server.store.queries.hosts import status_of
from rmactors.server.store.queries.repositories import Care, RepositoryView, SilentHost, UseRow
from rmactors.server.store.queries.repository_lists import Totals
from rmactors.server.web.views import lists, plots, repository_figures, words
from rmactors.server.web.views.lists import Asked, Head, ListKind
from rmactors.server.web.views.measures import number, size
from rmactors.server.web.views.plots import Plot
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import Tone
from rmactors.server.web.what_was_sent import json_list

CHECKED_LONG_AGO: Final = 35 * DAY
"""A repository that was not checked for longer is pointed out: once a month is what restic's own pages advise."""
STALE_LOCK: Final = 35 * MINUTE
"""restic renews its locks every five minutes, and takes one for left behind after thirty."""
YEAR: Final = 366 * DAY


@dataclass(frozen=True, slots=True)
class When:
    """When something was done last. `job_id` is None where there is no job to show; `tone` stands out where it is too
    long ago, or never was."""

    words: str
    exact: str
    iso: str
    tone: Tone
    job_id: str | None


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """One repository in the list. `locks` says what is wrong with them, or is empty."""

    id: str
    name: str
    location: str
    hosts: str
    size: str
    snapshots: str
    growth: str
    check: When
    locks: str
    trouble: str


@dataclass(frozen=True, slots=True)
class HostPart:
    """One host's part of a repository; `id` is None where it is not enrolled. Sizes are empty where unknown."""

    id: str | None
    name: str
    sub: str
    location: str
    snapshots: str
    bytes: str
    unique: str
    error: str


@dataclass(frozen=True, slots=True)
class LockLine:
    """Who holds the repository. `left_behind`: it was not renewed, so nobody holds it any more."""

    whose: str
    since: Time | None
    kind: str
    left_behind: bool


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """One repository and all that is known of it. `facts` are (name, value)."""

    id: str
    name: str
    lede: str
    facts: tuple[tuple[str, str], ...]
    cares: tuple[tuple[str, When], ...]
    hosts: tuple[HostPart, ...]
    unique_note: str
    locks: tuple[LockLine, ...]
    locks_note: str
    plot: Plot | None
    plot_note: str
    asked: str
    wanted: bool
    cannot_ask: str


@dataclass(frozen=True, slots=True)
class Silent:
    """A host of whose repositories something is not known, and why."""

    id: str
    name: str
    why: str


def line(view: RepositoryView, moment: Moment) -> RepositoryLine:
    """One of the list."""
    row = view.row
    hosts = sorted({use.host_name for use in view.uses}, key=str.casefold)
    stale = sum(lock.left_behind for lock in locks(view, moment))
    return RepositoryLine(
        id=row.id,
        name=repository_figures.name_of(view),
        location=view.uses[0].location,
        hosts=", ".join(hosts[:3]) + (_(" and %d more") % (len(hosts) - 3) if len(hosts) > 3 else ""),
        size=size(row.size_bytes),
        snapshots="" if row.snapshots is None else many("%(n)s snapshot", "%(n)s snapshots", row.snapshots),
        growth=growth(view),
        check=when(view.cares.get("check"), moment, CHECKED_LONG_AGO),
        locks=many("%(n)s lock left behind", "%(n)s locks left behind", stale) if stale else "",
        trouble="" if row.size_bytes is not None else _not_measured(view),
    )


def growth(view: RepositoryView) -> str:
    """`+1.2 GB a month`; empty where it is not known yet."""
    found = view.row.growth_bytes
    if found is None:
        return ""
    sign = "+" if found >= 0 else "\N{MINUS SIGN}"
    return _("%s a month") % f"{sign}{size(abs(found))}"


def lede(totals: Totals, *, narrowed: bool = False) -> str:
    """How much there is, and which of them fills the disk."""
    if not totals.every:
        return ""
    every = many("%(n)s repository", "%(n)s repositories", totals.every)
    said = [_("%(some)s of %(all)s") % {"some": number(totals.matching), "all": every} if narrowed else every]
    if totals.bytes is not None:
        said[0] += ", " + _("%s in all") % size(totals.bytes)
    if totals.fastest:
        grown = {"name": totals.fastest, "size": size(totals.growth)}
        said.append(_("%(name)s grows fastest: %(size)s a month") % grown)
    return ". ".join(said) + "."


def when(care: Care | None, moment: Moment, limit: int | None = None) -> When:
    """When it was done last. After `limit` (microseconds) it stands out, in days."""
    if care is None:
        return When(_("never"), "", "", "warn" if limit is not None else "off", None)
    at = moment.ago(care.at)
    late = limit is not None and moment.now - care.at > limit
    days = (moment.now - care.at) // DAY
    said = many("%(n)s day ago", "%(n)s days ago", days) if days >= 30 else at.words
    return When(said, at.exact, at.iso, "warn" if late else "ok", care.job_id)


def locks(view: RepositoryView, moment: Moment) -> list[LockLine]:
    """As they were when it was measured."""
    return [_lock(lock, view, moment) for lock in json_list(view.row.locks) if isinstance(lock, dict)]


def page(view: RepositoryView, moment: Moment, offline_after_seconds: float) -> RepositoryPage:
    """One with all that is known."""
    row = view.row
    unique = repository_figures.unique_bytes(view)
    found_locks = tuple(locks(view, moment))
    plotted = _plot(view, moment)
    hosts = sorted({use.host_name for use in view.uses}, key=str.casefold)
    return RepositoryPage(
        id=row.id,
        name=repository_figures.name_of(view),
        lede=_("Used by %s.") % ", ".join(hosts),
        facts=tuple(_facts(view)),
        cares=(
            (_("Last check"), when(view.cares.get("check"), moment, CHECKED_LONG_AGO)),
            (_("Last prune"), when(view.cares.get("prune"), moment)),
            (_("Last restore test"), when(view.cares.get("restore_test"), moment)),
        ),
        hosts=tuple(_parts(view)),
        unique_note=_("Unique is what no other host has. It is not known here: %s") % _why_not_unique(view)
        if unique is None and row.measured_at is not None
        else _("Unique is what no other host has: that much would go with it."),
        locks=found_locks,
        locks_note=_locks_note(view, found_locks, moment),
        plot=plotted,
        plot_note="" if plotted else _("Sizes are kept once a day: there is a plot from the second on."),
        asked=_asked(view, moment),
        wanted=row.wanted_at is not None and row.wanted_at > (row.measured_at or 0),
        cannot_ask=cannot_ask(view, moment.now, offline_after_seconds),
    )


def cannot_ask(view: RepositoryView, now: int, offline_after_seconds: float) -> str:
    """Why none of its hosts can be asked now; empty if one can."""
    said = []
    for use in {use.host_id: use for use in view.uses}.values():
        online = status_of(_Heard(use), now, offline_after_seconds) == "online"
        if use.may_tell and online:
            return ""
        reason = _("is not connected") if use.may_tell else _("does not allow browse")
        said.append(f"{use.host_name} {reason}")
    return _("No host can be asked now: %s.") % "; ".join(said)


def by_plan(uses: Sequence[UseRow]) -> dict[str, str]:
    """Of one host: the id of the repository that each plan uses, as far as it is known."""
    return {plan: use.repository_id for use in uses for plan in json_list(use.plans) if isinstance(plan, str)}


def silent(found: Sequence[SilentHost]) -> tuple[Silent, ...]:
    """Hosts that do not tell, and what to do about it."""
    return tuple(Silent(host.id, host.name, _why_silent(host)) for host in found)


def cells(view: RepositoryView) -> tuple[str, ...]:
    """One row of the CSV; see `COLUMNS`."""
    row, cares = view.row, view.cares
    grown, unique = row.growth_bytes, repository_figures.unique_bytes(view)
    hosts = dict.fromkeys(use.host_name for use in view.uses)
    numbers = (row.snapshots, row.size_bytes, unique, grown)
    dates = [cares[kind].at if kind in cares else None for kind in ("check", "prune", "restore_test")]
    return (
        row.id, repository_figures.name_of(view), view.uses[0].location, " ".join(hosts),
        " ".join(repository_figures.plans_of(view)), *("" if n is None else str(n) for n in numbers),
        *("" if at is None else clock.to_rfc3339(at) for at in (*dates, row.measured_at)),
        str(len(json_list(row.locks))),
    )  # fmt: skip


COLUMNS: Final = (
    "id", "name", "location", "hosts", "plans", "snapshots", "size_bytes", "unique_bytes", "growth_bytes_a_month",
    "last_check", "last_prune", "last_restore_test", "measured_at", "locks",
)  # fmt: skip


REPOSITORIES: Final = ListKind(
    "/repositories",
    MappingProxyType({"name": "name", "size": "-size", "growth": "-growth", "last_check": "last_check"}),
    "-size",
    texts=("q", "tag"),
)


def heads(of: Asked) -> tuple[Head, ...]:
    """With what a click on each sorts by: first what one wants to see, then the other way round."""
    return lists.heads(
        of,
        (("name", _("Repository")), ("size", _("Size")), ("growth", _("Growth")), ("last_check", _("Last check")),
         ("", _("Used by"))),
    )  # fmt: skip


class _Heard:
    """When the host of a use was heard."""

    def __init__(self, use: UseRow) -> None:
        self.first_hello_at, self.first_report_at, self.last_seen_at = use.seen_at, None, use.last_seen_at


def _facts(view: RepositoryView) -> list[tuple[str, str]]:
    row = view.row
    facts = [
        (_("Size"), size(row.size_bytes) or _not_measured(view)),
        (_("Grows"), growth(view) or _("not known yet")),
        (_("Snapshots"), number(row.snapshots)),
        (_("Uncompressed"), size(row.uncompressed_bytes)),
        (_("Compression"), _compression(view)),
        (_("Format version"), "" if row.version is None else str(row.version)),
        (_("Plans"), ", ".join(repository_figures.plans_of(view))),
        (_("Repository id"), row.id),
    ]
    return [(name, text) for name, text in facts if text]


def _compression(view: RepositoryView) -> str:
    row = view.row
    if row.version == 1:
        return _("none: format version 1 cannot compress")
    if row.compression is None:
        return _("not known: restic tells it from 0.15 on") if row.size_bytes else ""
    return _("%s times smaller") % f"{row.compression:.2f}"


def _not_measured(view: RepositoryView) -> str:
    error = next((use.error for use in view.uses if use.error), None)
    return error or _("not measured yet")


def _parts(view: RepositoryView) -> list[HostPart]:
    found = []
    for share in repository_figures.shares(view):
        uses = [use for use in view.uses if use.host_id == share.host_id]
        plans = [plan for use in uses for plan in json_list(use.plans) if isinstance(plan, str)]
        sub = ", ".join(plans) if uses else _("not enrolled here")
        found.append(
            HostPart(
                id=share.host_id,
                name=share.name,
                sub=sub,
                location=", ".join(dict.fromkeys(use.location for use in uses)),
                snapshots=number(share.snapshots),
                bytes=size(share.bytes),
                unique=size(share.unique_bytes),
                error=next((use.error for use in uses if use.error), ""),
            )
        )
    return found


def _why_not_unique(view: RepositoryView) -> str:
    if len(json_list(view.row.shares)) > 5:
        return _("with more than five hosts it would take too long to find out.")
    return _("to find out would have taken too long.")


def _lock(lock: dict[str, Any], view: RepositoryView, moment: Moment) -> LockLine:
    at = _time(lock.get("at"))
    measured = view.row.measured_at or 0
    whose = _("%(user)s on %(host)s, process %(pid)s") % {
        "user": lock.get("user"), "host": lock.get("host"), "pid": lock.get("pid"),
    }  # fmt: skip
    return LockLine(
        whose=whose,
        since=None if at is None else moment.ago(at),
        kind=_("exclusive") if lock.get("exclusive") is True else _("shared"),
        left_behind=at is not None and measured - at > STALE_LOCK,
    )


def _locks_note(view: RepositoryView, found: Sequence[LockLine], moment: Moment) -> str:
    if view.row.measured_at is None:
        return _("Not known yet.")
    at = moment.ago(view.row.measured_at).words
    if not found:
        return _("None, as of %s.") % at
    note = _("As of %s.") % at
    if any(lock.left_behind for lock in found):
        note += " " + _("A lock that was not renewed for half an hour is left behind: a job of kind unlock removes it.")
    return note


def _plot(view: RepositoryView, moment: Moment) -> Plot | None:
    """Over a year."""
    sizes = [(each.at, float(each.bytes)) for each in view.sizes if each.at > moment.now - YEAR]
    if len(sizes) < 2:
        return None
    low, high = min(held for _at, held in sizes), max(held for _at, held in sizes)
    said = {"low": size(low), "high": size(high), "last": size(sizes[-1][1])}
    return plots.plot(sizes, _("Size over time: from %(low)s to %(high)s, now %(last)s") % said, moment)


def _asked(view: RepositoryView, moment: Moment) -> str:
    if view.row.measured_at is None:
        return _("Not measured yet.")
    by = next((use.host_name for use in view.uses if use.host_id == view.row.measured_by), None)
    at = moment.ago(view.row.measured_at).words
    return _("Measured %(when)s by %(host)s.") % {"when": at, "host": by} if by else _("Measured %s.") % at


def _why_silent(host: SilentHost) -> str:
    if host.allow is not None and "browse" not in json_list(host.allow):
        return _("browse is not allowed on %s: add it to `allow` in its agent.toml.") % host.name
    match host.problem:
        case "not_allowed":
            return _("browse is not allowed on %s: add it to `allow` in its agent.toml.") % host.name
        case "too_old":
            return _("The agent is too old to be asked: upgrade it.")
        case "slow":
            return _("The agent did not answer in time.")
        case None:
            return words.sentence(host.error or _("a repository could not be opened"))
        case _:
            return words.sentence(host.detail or _("the agent could not tell"))


def _time(text: object) -> int | None:
    try:
        return clock.from_datetime(datetime.fromisoformat(str(text)))
    except (ValueError, OverflowError):
        return None
