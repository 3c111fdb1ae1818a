#!/bin/sh
# local-crontab 0.3.0 turns a line of a crontab in local time into lines in UTC. A job with a day of the week goes wrong:
# - where UTC is on another day by then, the day of the week stays: `0 23 * * 0` of New York runs on Saturdays at 23:00 (its
#   issue 4 knows of this one);
# - in months whose clocks change it writes days of the month next to the day of the week, of which cron takes either:
#   `0 3 * * 0` of Berlin runs on every day of March and October, at two times of day on some.
# And half hours of an offset are dropped: `0 3 * * *` of Kolkata becomes 21:00 UTC, which is 02:30 there.
#
# Expected: the runs of the line that was given, for its README says that it turns a crontab of a time zone into lines in
# UTC. Lines with no day of the week, in zones of whole hours, are right.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{ python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check local-crontab==0.3.0 \
    cron-converter==2.0.2 python-dateutil==2.9.0.post0 click==8.5.1 six==1.17.0 tzdata==2026.6 cronsim==2.8; } || exit 2
PYTHONTZPATH='' "$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from cronsim import CronSim
from local_crontab import Converter


def runs(expression, zone, start, end):
    """When cron runs it, after the start and before the end."""
    found = set()
    for run in CronSim(expression, start.astimezone(zone)):
        if run >= end:
            return found
        found.add(run.astimezone(UTC))


print("local-crontab", version("local-crontab"))
seen = {}
for expression, name, month in [
    ("0 3 * * *", "Europe/Berlin", 3),
    ("0 3 1 * *", "America/New_York", 3),
    ("0 23 * * 0", "America/New_York", 6),
    ("0 3 * * 0", "Europe/Berlin", 10),
    ("0 3 * * *", "Asia/Kolkata", 6),
]:
    zone = ZoneInfo(name)
    start, end = (datetime(2026, m, 1, tzinfo=zone) for m in (month, month + 1))
    lines = Converter(expression, name, 2026).to_utc_crons()
    wanted = runs(expression, zone, start - timedelta(minutes=1), end)
    found = set().union(*(runs(line, UTC, start - timedelta(minutes=1), end) for line in lines))
    said = [f"{run.astimezone(zone):%a %d. %H:%M}" for run in sorted(found)[:4]]
    kept, extra = len(wanted & found), len(found - wanted)
    print(f"{expression} {name}, {start:%B %Y}: {kept} of {len(wanted)} runs are there, {extra} more; {', '.join(said)}…")
    print("  ", "; ".join(lines))
    seen[expression, name] = (kept, len(wanted), extra)
right = seen["0 3 * * *", "Europe/Berlin"] == (31, 31, 0) and seen["0 3 1 * *", "America/New_York"] == (1, 1, 0)
wrong = seen["0 23 * * 0", "America/New_York"][0] == 0 and seen["0 3 * * 0", "Europe/Berlin"][2] > 20
sys.exit(0 if right and wrong and seen["0 3 * * *", "Asia/Kolkata"][0] == 0 else 1)
PYTHON
