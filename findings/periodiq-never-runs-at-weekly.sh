#!/bin/sh
# periodiq 0.14.0, which runs tasks of dramatiq at the times of crontabs: a task at `@weekly` never runs, nor does one at
# `0 3 * * 0` or `0 3 * * sun`, and `sat,sun` runs on Saturdays alone. It wakes up on Sunday for them, then looks for the day
# as 7 among the days of the line. Only 7 is Sunday to it. Nothing is said; its list of tasks at the start names them.
#
# Expected: 0 (or 7, or the name) is Sunday, as in crontab(5); it takes `@weekly` for `0 0 * * 0` itself.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{ python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check periodiq==0.14.0 \
    dramatiq==2.2.1 pendulum==3.3.0 python-dateutil==2.9.0.post0 six==1.17.0 tzdata==2026.6; } || exit 2
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from collections import Counter
from importlib.metadata import version

import dramatiq
import pendulum
import periodiq
from dramatiq.brokers.stub import StubBroker

LINES = ["@weekly", "0 3 * * 0", "0 3 * * sun", "0 3 * * sat,sun", "0 3 * * 7", "0 3 * * sat", "@daily"]
broker = StubBroker()
broker.add_middleware(periodiq.PeriodiqMiddleware(skip_delay=30))
dramatiq.set_broker(broker)
actors = [dramatiq.actor(lambda: None, actor_name=line.translate({32: "_", 42: "x", 44: "-", 64: "at-"}),
                         periodic=periodiq.cron(line)) for line in LINES]
actors = dict(zip(LINES, actors))

# Its own scheduler, on a clock that goes on by what it wants to sleep: eight weeks from a Tuesday.
clock = pendulum.datetime(2026, 12, 1, 12)
end = clock.add(weeks=8)
naps = []
pendulum.now = lambda: clock
periodiq.alarm, periodiq.sleep, periodiq.signal = naps.append, lambda seconds: None, lambda number, handler: None
scheduler = periodiq.Scheduler(list(actors.values()))
while clock < end:
    scheduler.schedule()
    clock = clock.add(seconds=naps.pop())

sent = Counter()
queue = broker.queues["default"]
while not queue.empty():
    sent[dramatiq.Message.decode(queue.get_nowait()).actor_name] += 1
ran = {line: sent[actor.actor_name] for line, actor in actors.items()}
print("periodiq", version("periodiq"), "in eight weeks:")
for line, times in ran.items():
    print(f"  {line:16} {times:2} times")
ordinary = ran["0 3 * * 7"] == ran["0 3 * * sat"] == 8 and ran["@daily"] == 56
never = ran["@weekly"] == ran["0 3 * * 0"] == ran["0 3 * * sun"] == 0 and ran["0 3 * * sat,sun"] == 8
sys.exit(0 if ordinary and never else 1)
PYTHON
