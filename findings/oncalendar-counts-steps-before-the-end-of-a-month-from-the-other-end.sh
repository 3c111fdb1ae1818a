#!/bin/sh
# oncalendar 1.1 reads systemd's OnCalendar= expressions. Of a range with a step among the days before the end of a month
# it takes other days than systemd: `*-*~08..16/7` is 16 and 9 days from the end, where systemd 252 and 257 begin with the
# number that stands first and take 8 and 15 (`systemd-analyze calendar` says so in its normalized form, ~08..15/7).
# It also takes steps that systemd refuses, because no second value fits: `21/11:00`, `*:*:57/3`.
#
# Expected: the days on which systemd's timers elapse. Without a step, and with a step and no end, they are the same.
# Exits non-zero once oncalendar gives the days of systemd.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check oncalendar==1.1
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice

from oncalendar import OnCalendar

SYSTEMD = {  # in October 2026, by systemd-analyze 252 and 257
    "*-*~08..10": ["10-22", "10-23", "10-24"],
    "*-*~7/3": ["10-25", "10-28", "10-31"],
    "*-*~08..16/7": ["10-17", "10-24"],
    "*-*~03..05/5": ["10-29"],
    "*-*~10..20/3": ["10-13", "10-16", "10-19", "10-22"],
}
differ = []
for expression, expected in SYSTEMD.items():
    found = [f"{day:%m-%d}" for day in islice(OnCalendar(expression, datetime(2026, 9, 30, tzinfo=UTC)), len(expected))]
    print(f"oncalendar {version('oncalendar')} {expression}: {' '.join(found)}; systemd: {' '.join(expected)}")
    if found != expected:
        differ.append(expression)
print("21/11:00, which systemd refuses:", next(OnCalendar("21/11:00", datetime(2026, 10, 1, tzinfo=UTC))))
sys.exit(differ != ["*-*~08..16/7", "*-*~03..05/5", "*-*~10..20/3"])
PYTHON
