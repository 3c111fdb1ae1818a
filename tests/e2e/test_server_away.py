"""The server is away for the whole of ten jobs, and the agent is killed in between: what comes of them afterwards is
what would have come of them with the server there. Server, agent and restic are real processes."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from harness.accounts import Episode, episodes_of
from harness.agents import AgentProcess
from harness.processes import Server, away, eventually
from harness.sink import Sink
from rmactors.agent.due_runs import definition
from rmactors.agent.spool import Mark, Spool
from rmactors.agent.state_dir import StateDir
from rmactors.common import clock, wire

SCHEDULES = 6


def add_a_plan_with_a_wrong_password(agent: AgentProcess) -> None:
    wrong = agent.folder / "wrong-password"
    wrong.write_text("something else\n")
    repository, source = json.dumps(str(agent.repository)), json.dumps([str(agent.source)])
    agent.config.write_text(
        f"jitter_seconds = 0\n{agent.config.read_text()}"
        f'[repositories.wrong]\nrepository = {repository}\npassword_file = "{wrong}"\n'
        f'[plans.wrong]\nrepository = "wrong"\nsources = {source}\n'
    )


def ends(state: StateDir) -> list[wire.JobFinished]:
    """What waits in the spool, in its order."""
    spool = Spool(state.spool_file)
    try:
        frames = [wire.decode_from_agent(report.frame) for report in spool.pending(0, 1000)]
    finally:
        spool.close()
    return [frame for frame in frames if isinstance(frame, wire.JobFinished)]


def sleep_for_two_hours(state: StateDir) -> None:
    """As far as schedules know."""
    spool = Spool(state.spool_file)
    now = clock.now()
    spool.set_marks([Mark(one.id, definition(one), now - 2 * clock.HOUR) for one in state.schedules().schedules])
    spool.close()


async def test_every_outcome_arrives_once_and_the_alerts_are_those_that_would_have_been(
    server: Server, tmp_path: Path, sink: Sink, restic: str
) -> None:
    agent = AgentProcess(server, tmp_path / "nas", "nas")
    try:
        await tried(server, agent, sink)
    finally:
        agent.end()


async def tried(server: Server, agent: AgentProcess, sink: Sink) -> None:
    add_a_plan_with_a_wrong_password(agent)
    state = StateDir(agent.folder / "state")
    await away(lambda: server.webhook(sink.url()))
    host_id = await away(agent.enroll)
    await away(lambda: agent.start(host_id))
    for number in range(SCHEDULES):
        plan = ("home", "wrong")[number % 2]
        body = {"name": f"{plan}-{number}", "kind": "backup", "cron": "@hourly", "params": {"plan": plan}}
        await away(lambda body=body: server.ask("POST", f"/api/hosts/{host_id}/schedules", body))
    await until(lambda: len(state.schedules().schedules) == SCHEDULES, "it has not heard of the schedules")

    await away(server.kill)
    await away(agent.end)
    sleep_for_two_hours(state)
    agent.spawn()
    await until(lambda: len(ends(state)) >= 2, "it does not catch up")
    await away(agent.end)  # in the middle of the third
    for code in (1, 1):
        await exec_ends_with(agent, code)
    agent.spawn()
    for code in (0, 1):
        await exec_ends_with(agent, code)
    await until(lambda: len(ends(state)) == SCHEDULES + 4, "it does not go on")
    await away(agent.end)
    waiting = ends(state)
    per_schedule = Counter(end.schedule_id for end in waiting if end.schedule_id)
    assert per_schedule == {one.id: 1 for one in state.schedules().schedules}, "each slot was taken once"

    await away(server.start)
    await away(lambda: agent.start(host_id))
    await until(lambda: not ends(state), "not all is delivered")
    jobs = await away(lambda: server.all_items(f"/api/jobs?host_id={host_id}"))
    found = {job["id"]: (job["status"], job["reason"], job["plan"], job["schedule_id"]) for job in jobs}
    assert found == {end.job_id: (end.status, end.reason, end.plan, end.schedule_id) for end in waiting}
    assert len(jobs) == len(waiting) == SCHEDULES + 4

    plans = {subject_of(end): end.plan for end in waiting}
    outcomes: dict[str, list[str]] = defaultdict(list)
    for end in waiting:  # its own subject hears of every end, the others of the plan of the good ones
        for subject, plan in plans.items():
            if subject == subject_of(end) or (plan == end.plan and end.status == "succeeded"):
                outcomes[subject].append(end.status)
    expected = {subject: episodes for subject, one in outcomes.items() if (episodes := episodes_of(one))}
    alerts = await away(lambda: server.all_items(f"/api/alerts?status=all&host_id={host_id}"))
    made: dict[str, list[Episode]] = defaultdict(list)
    for alert in reversed(alerts):  # of each subject the oldest first: the list has open ones first, then the newest
        made[alert["subject"]].append(Episode(alert["occurrences"], alert["resolved_at"] is not None))
    assert made == expected
    assert expected["plan:etc"] == [Episode(2, closed=True), Episode(1, closed=False)]

    last = {alert["id"]: "alert.resolved" if alert["resolved_at"] else "alert.raised" for alert in alerts}
    await sink.until(lambda s: {(r.body["alert_id"], r.body["event"]) for r in s.told()} >= set(last.items()))
    told = Counter((request.body["alert_id"], request.body["event"]) for request in sink.told())
    assert set(told.values()) == {1}, "nothing is told twice"


def subject_of(end: wire.JobFinished) -> str:
    return end.schedule_id or f"plan:{end.plan}"


async def exec_ends_with(agent: AgentProcess, code: int) -> None:
    command = ("exec", "--kind", "backup", "--plan", "etc", "--", "sh", "-c", f"exit {code}")
    done = await away(lambda: agent.command(*command))
    assert done.returncode == code, done.stderr


async def until(holds: Callable[[], bool], what: str) -> None:
    await away(lambda: eventually(holds, 60, lambda: what))
