"""What a digest says: one sentence about all, then the hosts, the worst first. Pure."""

from collections.abc import Sequence
from typing import Final

from rmactors.common.sizes import size
from rmactors.common.zones import day_and_time
from rmactors.server.state.digest import HostFigures

MOST_HOSTS: Final = 20
"""As many have a line of their own: a digest is read, not searched."""
LONGEST_NAME: Final = 60


def text(hosts: Sequence[HostFigures], elsewhere: int, since: int, zone: str, tagged: bool) -> str:
    """The digest's message. `elsewhere`: open alerts that are about no host; `tagged`: these are not all hosts."""
    if not hosts and not elsewhere:
        return "No host has one of this channel's tags." if tagged else "There is no host yet."
    worst_first = sorted(hosts, key=lambda host: (-_trouble(host), host.name))
    troubled = [host for host in worst_first if _trouble(host)]
    lines = [_summary(hosts, len(troubled), elsewhere, day_and_time(since, zone))]
    if troubled or elsewhere:
        lines += [f"- {_name(host)}: {_about(host, zone)}" for host in worst_first[:MOST_HOSTS]]
        if (left := len(worst_first) - MOST_HOSTS) > 0:
            lines.append(f"and {left} more{', which are well' if len(troubled) <= MOST_HOSTS else ''}")
    return "\n".join(lines)


def _summary(hosts: Sequence[HostFigures], troubled: int, elsewhere: int, since: str) -> str:
    backups = sum(host.good + host.partial for host in hosts)
    added = sum(host.added for host in hosts)
    done = f"{_many(backups, 'backup')} since {since}, {size(added)} added"
    if not troubled and not elsewhere:
        return f"All is well: {_many(len(hosts), 'host')}, {done}, no open alerts."
    alerts = sum(host.open for host in hosts) + elsewhere
    state = ", ".join(filter(None, (_some(alerts, "open alert"), _some(_overdue(hosts), "overdue backup"))))
    look = "The hosts are well" if hosts else "There is no host yet"
    if troubled:
        look = f"{troubled:,} of {_many(len(hosts), 'host')} {'needs' if troubled == 1 else 'need'} a look"
    return f"{look}: {done}{f'; {state}' if state else ''}."


def _overdue(hosts: Sequence[HostFigures]) -> int:
    return sum(host.overdue for host in hosts)


def _trouble(host: HostFigures) -> int:
    """How bad it is; 0: it is well."""
    if not host.good and not host.partial and (host.expected or host.failed):
        return 5
    if host.critical or host.overdue:
        return 4
    return 3 if host.open else 2 if host.failed else 1 if host.partial else 0


def _about(host: HostFigures, zone: str) -> str:
    failed = f"{host.failed} failed" if host.failed else ""
    if host.good or host.partial:
        backups = _many(host.good + host.partial, "backup")
        partial = f"{host.partial} partial" if host.partial else ""
        done = ", ".join(filter(None, (backups, partial, failed, f"{size(host.added)} added")))
    elif _trouble(host) == 5:
        last = f"since {day_and_time(host.last_good_at, zone)}" if host.last_good_at is not None else "yet"
        done = ", ".join(filter(None, (f"no good backup {last}", failed)))
    else:
        done = "no backup was due"
    critical = f" ({host.critical} critical)" if host.critical else ""
    alerts = f"{_many(host.open, 'open alert')}{critical}" if host.open else ""
    return "; ".join(filter(None, (done, alerts, "overdue" if host.overdue else "")))


def _name(host: HostFigures) -> str:
    return host.name if len(host.name) <= LONGEST_NAME else host.name[: LONGEST_NAME - 1] + "…"


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _some(number: int, word: str) -> str:
    return _many(number, word) if number else ""
