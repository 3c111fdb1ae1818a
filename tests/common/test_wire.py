"""The protocol's frames: text in, a value or the reason why it is none out; and back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from rmactors.common import clock, wire
from rmactors.common.wire import Unreadable

JOB = "01JDX0000000000000000000AB"
END = {
    "type": "job_finished", "seq": 7, "job_id": JOB, "kind": "backup", "status": "failed", "reason": "error",
    "started_at": "2026-11-23T03:00:00Z", "finished_at": "2026-11-23T03:05:00Z",
}  # fmt: skip


def frame_of(text: str) -> wire.FromServer | None:
    """What an agent takes of it."""
    return wire.decode_from_server(text).frame


def decoded(**changes: Any) -> Any:
    return wire.decode_from_agent(json.dumps({**END, **changes}))


def test_a_report_is_a_value() -> None:
    frame = decoded(stats={"bytes": 1 << 70}, from_the_future=1)
    assert isinstance(frame, wire.JobFinished)
    assert (frame.seq, frame.job_id, frame.status) == (7, JOB, "failed")
    assert frame.finished_at == datetime(2026, 11, 23, 3, 5, tzinfo=UTC)
    assert bytes(frame.stats) == b'{"bytes": 1180591620717411303424}', "judged later, whatever it is"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # what is no message
        ("", Unreadable("bad_message", "the frame is not JSON")),
        ("{", Unreadable("bad_message", "the frame is not JSON")),
        ("[" * 100_000, Unreadable("bad_message", "the frame is nested too deeply")),
        (
            '{"type": "job_finished", "error": "\\"seq\\": 1,", "seq": 7, "stats": ' + "[" * 100_000,
            Unreadable("bad_report", "the frame is nested too deeply", 7),
        ),
        (
            '{"seq": 7, "type": "hello", "plans": ' + "[" * 100_000,
            Unreadable("bad_message", "the frame is nested too deeply"),
        ),
        ('{"stats": ' + "[" * 100_000 + ', "seq": 7', Unreadable("bad_message", "the frame is nested too deeply")),
        ("[1]", Unreadable("bad_message", "the frame is not a JSON object")),
        ("{}", Unreadable("bad_message", "the frame has no `type`")),
        ('{"type": 3}', Unreadable("bad_message", "the frame has no `type`")),
        # a type that a newer agent may know; where it is a report, its number is told
        ('{"type": "song"}', Unreadable("unknown_type", "unknown type 'song'")),
        ('{"type": "song", "seq": 3}', Unreadable("unknown_type", "unknown type 'song'", 3)),
        ('{"type": "song", "seq": true}', Unreadable("unknown_type", "unknown type 'song'")),
        ('{"type": "song", "seq": 9223372036854775808}', Unreadable("unknown_type", "unknown type 'song'")),
        # with NUL in it and in what else it says: one reason, no crash
        ('{"type": "so\\u0000ng", "a": ["\\u0000", 1]}', Unreadable("unknown_type", r"unknown type 'so\x00ng'")),
        ('{"type": "\\u0000', Unreadable("bad_message", "the frame is not JSON")),
    ],
)
def test_what_is_no_message_says_why(text: str, reason: Unreadable) -> None:
    assert wire.decode_from_agent(text) == reason


@pytest.mark.parametrize(
    ("changes", "code", "seq", "job"),
    [
        ({"kind": "dance"}, "unknown_kind", 7, JOB),
        ({"status": "great"}, "bad_report", 7, JOB),
        # ids are ULIDs, and nothing else is one
        ({"job_id": "x"}, "bad_message", 7, "x"),
        ({"job_id": "x" * 100}, "bad_message", 7, "x" * 64),
        ({"job_id": 5}, "bad_message", 7, None),
        ({"job_id": JOB.lower()}, "bad_message", 7, JOB.lower()),
        ({"job_id": JOB + "\n"}, "bad_message", 7, JOB + "\n"),
        ({"job_id": "I" * 26}, "bad_message", 7, "I" * 26),
        ({"schedule_id": "nightly"}, "bad_message", 7, JOB),
        ({"schedule_id": JOB + "\n", "kind": "dance"}, "bad_message", 7, JOB),
        ({"finished_at": "2026-11-23T03:05:00"}, "bad_report", 7, JOB),  # which moment?
        ({"seq": -1}, "bad_report", -1, JOB),
        # without a number nobody can be told that it is refused
        ({"seq": "7"}, "bad_message", None, None),
        ({"seq": None}, "bad_message", None, None),
    ],
)
def test_a_report_that_cannot_be_taken_is_named(
    changes: dict[str, Any], code: str, seq: int | None, job: str | None
) -> None:
    reason = decoded(**changes)
    assert isinstance(reason, Unreadable)
    assert (reason.code, reason.seq, reason.job_id) == (code, seq, job)
    assert reason.detail


def test_a_number_that_nobody_can_read_hides_no_report() -> None:
    text = json.dumps({**END, "status": "great"})[:-1] + ', "stats": {"n": ' + "1" * 5000 + "}}"
    reason = wire.decode_from_agent(text)
    assert isinstance(reason, Unreadable)
    assert (reason.code, reason.seq) == ("bad_report", 7)


def test_a_wrong_field_of_what_is_no_report_is_a_bad_message() -> None:
    reason = wire.decode_from_agent('{"type": "heartbeat", "utc_now": 5, "seq": 3}')
    assert isinstance(reason, Unreadable)
    assert (reason.code, reason.seq) == ("bad_message", None)


@pytest.mark.parametrize("bad", [JOB + "\n", "/etc/" + "A" * 21, "../" + "A" * 23, JOB.lower(), JOB[:-1], "", "I" * 26])
def test_only_a_ulid_is_an_id_on_the_wire(bad: str) -> None:
    for frame in (
        {"type": "hello", "protocol": {"min": 1, "max": 1}, "instance_id": "i", "running_jobs": [bad]},
        {"type": "job_progress", "job_id": bad},
        {"type": "job_log", "job_id": bad, "first_line": 0, "lines": []},
    ):
        reason = wire.decode_from_agent(json.dumps(frame))
        assert isinstance(reason, Unreadable)
        assert (reason.code, reason.seq) == ("bad_message", None)
    for order in ({"type": "run_job", "job_id": bad, "kind": "check"}, {"type": "cancel_job", "job_id": bad}):
        assert frame_of(json.dumps(order)) is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a\0b", "a\ufffdb"),
        ("a\x1b[31mb\x9b", "a\ufffd[31mb\ufffd"),
        ("one\r\ntwo\rthree\tfour", "one\ntwo\nthree\tfour"),
        ("half \udc80 and \ud83d alone, \U0001f4a5 whole", "half \ufffd and \ufffd alone, \U0001f4a5 whole"),
        ("evil\u202etxt", "evil\ufffdtxt"),
        ("e" * 2000, "e" * 2000),
        ("e" * 2001, "e" * 1999 + "…"),
        ("\n" * 900_000, "\n" * 1999 + "…"),
        ("a\\ud800 as it is written", "a\\ud800 as it is written"),
    ],
)
def test_a_text_is_cut_and_cleaned_once_it_is_decoded(sent: str, kept: str) -> None:
    frame = wire.decode_from_agent(json.dumps({**END, "error": sent})[:-1] + ', "stats": {"n": ' + "1" * 5000 + "}}")
    assert isinstance(frame, wire.JobFinished), "what else is in the frame changes nothing about that"
    assert frame.error == kept


def test_a_name_under_which_a_host_wants_to_enroll_is_left_to_who_judges_it() -> None:
    asked = {
        "type": "enroll",
        "name": "na\0s\x1b",
        "hostname": "h\0",
        "os": "o",
        "arch": "a",
        "agent_version": "v" * 300,
    }
    frame = wire.decode_from_agent(json.dumps(asked))
    assert isinstance(frame, wire.Enroll)
    assert (frame.name, frame.hostname, frame.agent_version) == ("na\0s\x1b", "h\ufffd", "v" * 199 + "…")


def test_a_name_is_one_line_and_a_long_one_loses_no_report() -> None:
    frame = decoded(plan="a\n\0\tb", error=None)
    assert frame.plan == "a\ufffd\ufffd\ufffdb"
    assert decoded(plan="p" * 201).plan == "p" * 199 + "…"
    assert decoded(plan="näs ☃").plan == "näs ☃"


def test_a_line_of_a_log_keeps_its_tabs_and_loses_its_colours() -> None:
    lines = ["a\tb", "\x1b[1;31mred\x1b[0m", "\x1b]0;title\x07", "end\r\n", "x" * 1001]
    frame = wire.decode_from_agent(
        json.dumps(
            {
                "type": "job_log", "job_id": JOB, "first_line": 0,
                "lines": [{"stream": "stdout", "text": line} for line in lines] * 50,
            }
        )
    )  # fmt: skip
    assert isinstance(frame, wire.JobLog)
    assert [line.text for line in frame.lines[:5]] == ["a\tb", "red", "\ufffd]0;title\ufffd", "end", "x" * 999 + "…"]
    assert len(frame.lines) == 200


def test_progress_is_within_what_can_be_shown() -> None:
    huge = 10**400
    frame = wire.decode_from_agent(
        json.dumps(
            {
                "type": "job_progress", "job_id": JOB, "percent": -3.5, "files_done": -7, "bytes_total": huge,
                "bytes_done": huge, "eta_seconds": 1e300,
            }
        )
    )  # fmt: skip
    highest = (1 << 63) - 1
    assert frame == wire.JobProgress(JOB, 0.0, 0, 0, highest, highest, 315_360_000.0)
    for number in ("1e999", "-1e999", "NaN", "Infinity", "1" * 5000):
        text = f'{{"type": "job_progress", "job_id": "{JOB}", "percent": {number}}}'
        assert isinstance(wire.decode_from_agent(text), Unreadable)


def test_a_cursor_goes_back_to_the_agent_as_it_came() -> None:
    cursor = "\x1b\t" + "x" * 5_000
    frame = wire.decode_from_agent(
        json.dumps({"type": "response", "request_id": JOB, "ok": True, "next_cursor": cursor})
    )
    assert isinstance(frame, wire.Response)
    assert frame.next_cursor == cursor


def test_a_hello_says_no_more_than_is_kept() -> None:
    plan = {"name": "p" * 300, "kind_hint": "\0", "repository": "r" * 3000, "sources": ["/s"] * 300}
    frame = wire.decode_from_agent(
        json.dumps(
            {
                "type": "hello", "protocol": {"min": 1, "max": 1}, "instance_id": "i", "agent_version": "v" * 400,
                "restic": {"version": "0" * 400}, "restic_problem": "é" * 3000, "plans": [plan] * 300,
            }
        )
    )  # fmt: skip
    assert isinstance(frame, wire.Hello)
    assert isinstance(frame.restic, wire.ResticInfo)
    assert (frame.agent_version, frame.restic.version) == ("v" * 199 + "…", "0" * 199 + "…")
    assert frame.restic_problem == "é" * 1999 + "…"
    assert len(frame.plans) == 200
    assert frame.plans[0] == wire.Plan("p" * 199 + "…", "\ufffd", "r" * 1999 + "…", ["/s"] * 100)


@settings(deadline=None)
@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_nothing_that_an_agent_sends_raises(text: str) -> None:
    assert isinstance(wire.decode_from_agent(text), Unreadable)
    assert frame_of(text) is None


def test_what_the_server_says_comes_back_as_it_was() -> None:
    schedule = wire.ScheduleInfo(JOB, "Nightly", "backup", "@daily", "UTC", True, "agent", 0.0, 60.0, "alert", {})
    for frame in (
        wire.Welcome(1, JOB, clock.to_datetime(clock.from_rfc3339("2026-11-23T03:00:00Z")), 30.0, 4, [schedule]),
        wire.Ack(7),
        wire.Ack(7, refused="foreign_job", detail="no"),
        wire.RunJob(JOB, "check", None, {"plan": "home"}),
        wire.Error("protocol_unsupported", "1 only", wire.ProtocolRange(1, 1)),
    ):
        assert frame_of(wire.encode(frame)) == frame


def test_times_on_the_wire_end_in_z() -> None:
    assert b'"utc_now":"' in (sent := wire.encode(wire.Heartbeat(wire.utc_now())).encode())
    assert sent.endswith(b'Z"}')


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("", UNSET),  # it has not looked
        (', "restic": null', None),
        (', "restic": {"version": "0.19.1"}', wire.ResticInfo("0.19.1")),
    ],
)
def test_no_restic_and_not_a_word_about_restic_are_not_the_same(told: str, means: object) -> None:
    text = f'{{"type": "hello", "protocol": {{"min": 1, "max": 1}}, "instance_id": "i"{told}}}'
    hello = wire.decode_from_agent(text)
    assert isinstance(hello, wire.Hello)
    assert hello.restic == means
    assert wire.decode_from_agent(wire.encode(hello)) == hello


def test_a_schedule_of_a_kind_from_the_future_is_left_out_and_the_others_stay() -> None:
    known = wire.ScheduleInfo(JOB, "Nightly", "backup", "@daily", "UTC", True, "agent", 0.0, 60.0, "alert", {})
    sent = json.loads(wire.encode(wire.Schedules(3, [known, known])))
    sent["schedules"][0]["kind"] = "dance"
    assert frame_of(json.dumps(sent)) == wire.Schedules(3, [known])


@pytest.mark.parametrize(
    "text", ["", "[]", '{"type": "song"}', '{"type": "schedules", "schedules": [1]}', "[" * 100_000]
)
def test_what_a_newer_server_says_is_passed_over(text: str) -> None:
    assert frame_of(text) is None


@pytest.mark.parametrize("given", [{}, {"schedule_id": None}, {"params": {"plan": "home"}}])
def test_an_order_may_leave_out_whatever_is_optional(given: dict[str, Any]) -> None:
    order = frame_of(json.dumps({"type": "run_job", "job_id": JOB, "kind": "backup", **given}))
    assert order == wire.RunJob(JOB, "backup", None, given.get("params", {}))


def test_a_schedule_may_leave_out_what_has_a_default() -> None:
    told = {"id": JOB, "name": "nightly", "kind": "backup", "cron": "0 3 * * *"}
    heard = frame_of(json.dumps({"type": "schedules", "schedules_rev": 3, "schedules": [told]}))
    assert isinstance(heard, wire.Schedules)
    (info,) = heard.schedules
    assert (info.timezone, info.enabled, info.mode, info.params) == ("UTC", True, "agent", {})
    assert (info.grace_seconds, info.max_runtime_seconds, info.on_partial) == (0, 86_400, "alert")


@pytest.mark.parametrize("order", ["run_job", "cancel_job"])
def test_an_order_for_what_is_no_job_id_is_passed_over(order: str) -> None:
    assert frame_of(json.dumps({"type": order, "job_id": "../../etc", "kind": "backup"})) is None


# ---- a server that was taken over

SCHEDULE = {"id": JOB, "name": "nightly", "kind": "backup", "cron": "0 3 * * *"}
WELCOME = {
    "type": "welcome", "protocol": 1, "host_id": JOB, "server_now": "2026-11-23T03:00:00Z", "heartbeat_seconds": 30,
    "schedules_rev": 4, "schedules": [SCHEDULE],
}  # fmt: skip
ORDER = {"type": "run_job", "job_id": JOB, "kind": "backup"}
NO_IDS = [
    "", "/", "..", "/etc/cron.d", "../../etc", f"{JOB}\n", f"\n{JOB}", f" {JOB}", JOB.lower(), f"{JOB}/", f"{JOB}X",
    "O" * 26, "../" + JOB[3:], JOB[:-1] + "\0", "٠" * 26, 5, None, [JOB], {"id": JOB},
]  # fmt: skip
NUMBERS = [-1, -1e300, "1", None, [], 10**400, 1 << 63, "∞"]


@pytest.mark.parametrize("given", NO_IDS)
def test_nothing_but_an_id_stands_where_an_id_belongs(given: Any) -> None:
    for frame in (
        {**ORDER, "job_id": given}, {"type": "cancel_job", "job_id": given}, {**WELCOME, "host_id": given},
        {"type": "enrolled", "host_id": given, "agent_token": "t"},
    ):  # fmt: skip
        heard = wire.decode_from_server(json.dumps(frame))
        assert heard.frame is None, frame
        assert heard.fault
    order = frame_of(json.dumps({**ORDER, "schedule_id": given}))
    assert order == (wire.RunJob(JOB, "backup") if given is None else None)
    assert schedules_of({**SCHEDULE, "id": given}) == []


@pytest.mark.parametrize("given", NUMBERS)
@pytest.mark.parametrize("field", ["protocol", "heartbeat_seconds", "schedules_rev"])
def test_a_number_that_cannot_be_meant_is_passed_over(field: str, given: Any) -> None:
    if field == "heartbeat_seconds" and given == 1 << 63:
        given = 0
    assert frame_of(json.dumps({**WELCOME, field: given})) is None


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity", "9" * 5000])
@pytest.mark.parametrize("field", ["heartbeat_seconds", "schedules_rev"])
def test_what_is_no_finite_number_is_passed_over(field: str, text: str) -> None:
    sent = json.dumps({**WELCOME, field: 777}).replace("777", text)
    assert frame_of(sent) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "n" * 201}, {"name": 5}, {"kind": "dance"}, {"kind": "backup\n"}, {"cron": "0 3 * * *\x1b[31m"},
        {"cron": "*" * 1001}, {"timezone": "../../etc/shadow"}, {"timezone": "UTC\n"}, {"timezone": ""},
        {"enabled": "yes"}, {"mode": "both"}, {"grace_seconds": -1}, {"grace_seconds": 1e300},
        {"max_runtime_seconds": -1}, {"max_runtime_seconds": 10**400}, {"on_partial": "x"}, {"params": []},
        {"params": {"plan": {"deep": {"er": 1}}}}, {"params": {"x" * 65: 1}}, {"params": {"a b": 1}},
        {"params": {"plan": "x" * 5000}}, {"params": {str(n): n for n in range(21)}}, {"params": {"n": 10**30}},
        {"params": {"include": ["/x"] * 201}}, {"params": {"include": [["/x"]]}}, {"on_calendar": "daily\0"},
        {"every_hours": 0}, {"every_hours": -5}, {"every_hours": 1e300},
    ],
)  # fmt: skip
def test_a_schedule_that_does_not_fit_is_left_out_alone(wrong: dict[str, Any]) -> None:
    good = {**SCHEDULE, "name": "good"}
    heard = wire.decode_from_server(json.dumps({**WELCOME, "schedules": [good, {**SCHEDULE, **wrong}, good]}))
    assert isinstance(heard.frame, wire.Welcome)
    assert [schedule.name for schedule in heard.frame.schedules] == ["good", "good"]
    assert (heard.fault or "").startswith("left out, does not fit: schedule 2 (")
    assert "params" not in wrong or frame_of(json.dumps({**ORDER, **wrong})) is None


def test_no_more_schedules_are_taken_than_a_host_can_have() -> None:
    many = json.dumps({"type": "schedules", "schedules_rev": 1, "schedules": [SCHEDULE] * (wire.MOST_SCHEDULES + 2)})
    heard = wire.decode_from_server(many)
    assert isinstance(heard.frame, wire.Schedules)
    assert len(heard.frame.schedules) == wire.MOST_SCHEDULES
    assert heard.fault == "left out, does not fit: all beyond the 500th"


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "ü", "x" * 501])
def test_a_credential_is_one_that_a_header_can_carry(token: str) -> None:
    assert frame_of(json.dumps({"type": "enrolled", "host_id": JOB, "agent_token": token})) is None


def test_words_for_people_are_one_plain_short_line() -> None:
    detail = "\x1b]0;owned\x07no\nsecond line " + "x" * 5000
    for frame in (
        {"type": "error", "code": "name_taken", "detail": detail},
        {"type": "ack", "seq": 1, "refused": "bad_report", "detail": detail},
        # twice the same key, so that the way by which schedules are sorted out is the one that decodes it
        {"type": "error", "code": "x", "detail": detail, "supported": None, "schedules": []},
    ):
        heard = frame_of(json.dumps(frame))
        assert isinstance(heard, wire.Ack | wire.Error)
        assert heard.detail is not None
        assert heard.detail.startswith("�]0;owned�no second line x")
        assert len(heard.detail) == wire.LONGEST_DETAIL
    again = '{"type":"ack","seq":"x","seq":1,"detail":"\\u001b","schedules":[]}'
    assert frame_of(again) == wire.Ack(1, None, "�")
    for code in ("", "Name taken", "x" * 65, "a\n", "\x1b[31m"):
        assert frame_of(json.dumps({"type": "error", "code": code, "detail": ""})) is None


def schedules_of(*schedules: dict[str, Any]) -> list[wire.ScheduleInfo]:
    sent = json.dumps({"type": "schedules", "schedules_rev": 1, "schedules": schedules})
    heard = frame_of(sent)
    assert isinstance(heard, wire.Schedules)
    return heard.schedules


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(
    st.sampled_from([WELCOME, ORDER, {"type": "error", "code": "x", "detail": ""}, {"type": "ack", "seq": 1}]),
    st.sampled_from(
        ["type", "job_id", "kind", "schedule_id", "params", "schedules", "seq", "code", "host_id", "x\x1b"]
    ),
    anything,
)
def test_what_is_passed_over_is_said_in_one_plain_line_without_the_servers_words(
    frame: dict[str, Any], field: str, value: Any
) -> None:
    heard = wire.decode_from_server(json.dumps({**frame, field: value}))
    assert heard.frame is not None or heard.fault
    allowed = {"a message that is no frame", "a frame of an unknown type"}
    fault = heard.fault or ""
    assert fault.isprintable()
    assert len(fault) < 200
    assert not fault or fault in allowed or fault.startswith(("a frame `", "left out, does not fit: schedule "))


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ('{"type": "song"}', wire.AgentError("unknown_type", "unknown type 'song'")),
        (
            f'{{"type": "request", "kind": "sing", "request_id": "{JOB}"}}',
            wire.Response(JOB, ok=False, error="this agent does not know that kind of request", code="invalid"),
        ),
        (
            f'{{"type": "request", "kind": "find", "request_id": "{JOB}", "params": {{"a": {{}}}}}}',
            wire.Response(
                JOB, ok=False, error="the request does not fit: a frame `request` that does not fit (params)",
                code="invalid",
            ),
        ),
        ('{"type": "request", "kind": "sing"}', None),
        ('{"type": "request", "kind": "sing", "request_id": "x"}', None),
        ('{"type": "run_job", "job_id": "x"}', None),
        ("no JSON", None),
    ],
)  # fmt: skip
def test_who_waits_for_an_answer_to_what_does_not_fit_gets_one(text: str, reply: wire.Frame | None) -> None:
    heard = wire.decode_from_server(text)
    assert (heard.frame, heard.reply) == (None, reply)
