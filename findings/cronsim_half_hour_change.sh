#!/bin/sh
# cronsim 2.8 steps by whole hours of real time, so where clocks change by half an hour (Australia/Lord_Howe) it loses
# slots of expressions with a star for the hour: a job that runs every six hours is not run at 06:00 on those two days.
# Expected of cron (and seen with Debian's): 00:00, 06:00, 12:00 and 18:00 on every day.
# Exits non-zero once cronsim gives those slots.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cronsim==2.8 tzdata==2026.6
PYTHONTZPATH='' "$folder/venv/bin/python" - <<'PYTHON'
from datetime import date, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from cronsim import CronSim

ZONE = ZoneInfo("Australia/Lord_Howe")


def slots(expression, day):
    """What cronsim gives on that day, as people read it."""
    found = []
    for fire in CronSim(expression, datetime(*day, tzinfo=ZONE) - timedelta(hours=36)):
        if fire.date() > date(*day):
            return found
        if fire.date() == date(*day):
            found.append(fire.strftime("%H:%M %z"))


print("cronsim", version("cronsim"), "in", ZONE.key)
lost = 0
for expression, day, expected in [
    ("0 */6 * * *", (2026, 4, 5), "06:00"),
    ("0 */6 * * *", (2026, 10, 4), "06:00"),
    ("0 */12 * * *", (2026, 4, 5), "12:00"),
    ("*/30 0 * * *", (2026, 4, 6), "00:00"),
]:
    found = slots(expression, day)
    missing = not any(slot.startswith(expected) for slot in found)
    lost += missing
    print(f"{expression:14} {day[0]}-{day[1]:02}-{day[2]:02}: {', '.join(found)}; {expected} is {'lost' if missing else 'there'}")
ordinary = slots("0 */6 * * *", (2026, 6, 1))
print(f"{'0 */6 * * *':14} 2026-06-01: {', '.join(ordinary)}")
raise SystemExit(0 if lost == 4 and len(ordinary) == 4 else 1)
PYTHON
