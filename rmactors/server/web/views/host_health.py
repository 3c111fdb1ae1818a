"""What may be wrong with a host itself: its clock, its time zone data, its restic. Pure.

Each has a short text for the list of facts, and a sentence where an operator should do something.
"""

from collections.abc import Sequence
from typing import Final

from rmactors.common import zones
from rmactors.server.state import clocks
from rmactors.server.store.queries.hosts import HostRow, HostView
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Moment, rough

_COUNTED_SECONDS: Final = 600.0


def clock_fact(row: HostRow) -> str:
    """`as the server's`, `91 s ahead of the server's`; empty where the host has not said."""
    offset = row.clock_offset_seconds
    if offset is None:
        return ""
    if not clocks.believed(offset) and abs(offset) < clocks.FAR_SECONDS:
        return _("as the server's")
    far = f"{abs(offset):.0f} {_('s')}" if abs(offset) < _COUNTED_SECONDS else rough(abs(offset))
    return (_("%s ahead of the server's") if offset > 0 else _("%s behind the server's")) % far


def data_fact(row: HostRow, ours: str) -> str:
    """`2025b`, with the server's version where that is another."""
    theirs = row.tzdata_version or ""
    if not theirs or not ours or theirs == ours:
        return theirs
    return _("%(theirs)s (the server has %(ours)s)") % {"theirs": theirs, "ours": ours}


def restic_fact(row: HostRow) -> str:
    return row.restic_version or row.restic_problem or _("not found")


def warnings(view: HostView, ours: str) -> tuple[str, ...]:
    """Sentences for an operator. `ours` is the version of the server's time zone data."""
    row = view.host
    found = (_clock(row), _data(row, view.schedules, ours), _restic(row))
    return tuple(sentence for sentence in found if sentence)


def unreadable(schedules: Sequence[ScheduleRow]) -> tuple[str, ...]:
    """The same of schedules whose expression or zone could be read where they were saved, and not here."""
    found = ((schedule.name, schedule.when.trouble()) for schedule in schedules if schedule.enabled)
    text = _("Its schedule %(name)s is not watched: %(problem)s. Update tzdata on the server, or change the schedule.")
    return tuple(text % {"name": name, "problem": problem} for name, problem in found if problem)


def spool(row: HostRow, moment: Moment) -> tuple[str, ...]:
    """The same of its disk, where the agent cannot keep its reports on it."""
    if row.spool_problem is None:
        return ()
    values = {"problem": row.spool_problem}
    if row.spool_problem_since is None:
        problem = _("Its spool cannot be written: %(problem)s.") % values
    else:
        values["since"] = moment.exact(row.spool_problem_since)
        problem = _("Its spool cannot be written since %(since)s: %(problem)s.") % values
    lost = _("Its reports are kept in memory only: those that are not sent before its process ends are lost.")
    return (f"{problem} {lost}",)


def _clock(row: HostRow) -> str:
    offset = row.clock_offset_seconds
    if offset is None or abs(offset) < clocks.FAR_SECONDS:
        return ""
    if clocks.believed(offset):
        then = _("Runs still count for their slots. Let NTP set the host's clock.")
    else:
        then = _("That is too far: its runs may count as missed. Set the host's clock.")
    return _("Its clock is %s.") % clock_fact(row) + " " + then


def _data(row: HostRow, schedules: Sequence[ScheduleRow], ours: str) -> str:
    """Only where a schedule is read in a zone whose rules may have changed."""
    theirs = row.tzdata_version or ""
    if not theirs or not ours or zones.age(theirs) == zones.age(ours):
        return ""
    if all(schedule.timezone == "UTC" and schedule.on_calendar is None for schedule in schedules if schedule.enabled):
        return ""
    values = {"theirs": theirs, "ours": ours}
    if zones.age(theirs) < zones.age(ours):
        return (
            _(
                "Its time zone data, %(theirs)s, is older than the server's, %(ours)s: where a zone's rules have"
                " changed, it runs at another hour than expected. Update tzdata on the host."
            )
            % values
        )
    return (
        _(
            "The server's time zone data, %(ours)s, is older than this host's, %(theirs)s: where a zone's rules have"
            " changed, runs are expected at a wrong hour. Update tzdata on the server."
        )
        % values
    )


def _restic(row: HostRow) -> str:
    """Only where the agent has plans: a host that just reports what others run needs no restic of its own."""
    if row.restic_problem is None or row.plans == "[]":
        return ""
    return _("The agent cannot use restic: %s.") % row.restic_problem
