"""What a server, a host or a receiver says cannot steer the terminal of the user who types a command."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner

from rmactors.cli.main import main
from rmactors.common import ids

# No CSI sequences: click takes those out by itself where it does not write to a terminal.
EVIL = "\x1bc\x07\x9b31m\u202e\u2066\u200b\x7f\x00\nforged"
JOB = {
    "id": EVIL, "host_id": EVIL, "kind": EVIL, "plan": EVIL, "schedule_id": EVIL, "scheduled_for": None, "reason": EVIL,
    "status": EVIL, "error": EVIL, "exit_code": 1, "warning": EVIL, "queued_at": None, "started_at": None,
    "finished_at": None, "cancel_requested_at": None, "params": {EVIL: EVIL},
    "stats": {EVIL: EVIL, "snapshots": [{"id": EVIL, "plan": EVIL, "host": EVIL, "paths": [EVIL]}]},
}  # fmt: skip
HOST = {
    "id": EVIL, "name": EVIL, "status": "online", "last_seen_at": None, "enrolled_at": None, "hostname": EVIL,
    "os": EVIL, "arch": EVIL, "agent_version": EVIL, "restic_version": EVIL, "restic_problem": EVIL,
    "tzdata_version": EVIL, "clock_offset_seconds": 5.0, "tags": [EVIL], "plans": [{"name": EVIL}],
    "last_jobs": {"backup": JOB},
    "schedules": [{
        "id": EVIL, "name": EVIL, "kind": EVIL, "cron": EVIL, "timezone": EVIL, "enabled": True, "next_fire_at": None,
        "last_outcome": EVIL,
    }],
}  # fmt: skip
ALERT = {
    "id": EVIL, "host_id": EVIL, "host_name": EVIL, "kind": EVIL, "subject": EVIL, "severity": EVIL, "status": "open",
    "message": EVIL, "occurrences": 1, "job_id": None, "created_at": "2026-11-23T03:00:12.345Z", "last_seen_at": None,
    "acknowledged_at": "2026-11-23T03:00:12.345Z", "acknowledged_by": EVIL, "acknowledged_note": EVIL,
    "resolved_at": None, "resolved_by": None, "resolved_note": None, "link": EVIL,
    "timeline": [{"at": "2026-11-23T03:00:12.345Z", "event": EVIL, "by": EVIL, "note": EVIL}],
}  # fmt: skip
CHANNEL = {
    "id": EVIL, "name": EVIL, "kind": EVIL, "enabled": True, "min_severity": EVIL, "events": [EVIL],
    "host_tags": [EVIL], "last_fired_at": None, "config": {EVIL: EVIL},
    "health": {"state": EVIL, "since": None, "last_error": EVIL, "queued": 1, "dead": 0},
}  # fmt: skip
ATTEMPT = {
    "fired_at": None, "event": EVIL, "attempt": 1, "ok": False, "status_code": EVIL, "latency_ms": 1.0,
    "delivery_id": EVIL, "error": EVIL,
}  # fmt: skip
FILE = {
    "name": EVIL, "path": EVIL, "snapshot": EVIL, "time": "2026-11-23T03:00:12.345Z", "type": EVIL, "size": 5,
    "mtime": None, "change": EVIL,
}  # fmt: skip
SNAPSHOT = {
    "id": EVIL, "short_id": EVIL, "time": "2026-11-23T03:00:12.345Z", "plan": EVIL, "paths": [EVIL], "tags": [EVIL],
    "hostname": EVIL, "files": None, "bytes": 5, "added_bytes": None, "program_version": EVIL,
}  # fmt: skip
ID = ids.new()


class Answers:
    """A server that gives one answer to whatever is asked."""

    def __init__(self) -> None:
        self.status, self.body, self.location = 200, b"", ""
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(answers.status)
                if answers.location:
                    self.send_header("Location", answers.location)
                self.send_header("Content-Length", str(len(answers.body)))
                self.end_headers()
                self.wfile.write(answers.body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def answers() -> Iterator[Answers]:
    made = Answers()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def said(answers: Answers, *words: str, code: int = 0) -> str:
    """All that the command writes; its exit code must be `code`."""
    done = CliRunner().invoke(
        main, list(words), env={"RM_SERVER": answers.url, "RM_TOKEN": "x"}, catch_exceptions=False
    )
    assert done.exit_code == code, done.output
    return done.output


def page(*items: object) -> bytes:
    return json.dumps({"items": items, "next_cursor": None}).encode()


@pytest.mark.parametrize(
    "words", [["jobs", "list"], ["hosts", "show", ID], ["channels", "log", ID], ["alerts", "ack", ID]]
)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, json.dumps({"errors": [{"pointer": EVIL, "detail": EVIL}]}).encode()),
        (409, json.dumps({"detail": EVIL}).encode()),
        (500, EVIL.encode()),
        (200, EVIL.encode()),
    ],
    ids=["fields", "detail", "no-problem", "no-json"],
)
def test_a_refusal_is_one_plain_line(answers: Answers, words: list[str], status: int, body: bytes) -> None:
    answers.status, answers.body = status, body
    [line] = said(answers, *words, code=3 if status == 200 else 1).splitlines()
    assert line.isprintable()


def test_where_another_server_is_said_to_be_is_one_plain_line(answers: Answers) -> None:
    answers.status, answers.location = 301, "https://x.example/\x1bc\x07\x9b"
    [line] = said(answers, "jobs", "list", code=1).splitlines()
    assert line.isprintable()


@pytest.mark.parametrize(
    ("words", "body", "code"),
    [
        (["jobs", "list"], page(JOB | {"name": EVIL}), 0),
        (["jobs", "show", ID], json.dumps(JOB).encode(), 0),
        (["jobs", "run", ID, "check", "--wait"], json.dumps(JOB).encode(), 1),
        (["jobs", "log", ID], page({"stream": "stdout", "text": EVIL}, {"stream": "gap", "text": EVIL}), 0),
        (["snapshots", ID], json.dumps({"items": [SNAPSHOT], "as_of": EVIL, "left_out": EVIL}).encode(), 0),
        (["snapshots", "browse", ID], page(FILE), 0),
        (["snapshots", "find", ID, "x"], page(FILE), 0),
        (["snapshots", "diff", ID, "x", "y"], page(FILE), 0),
        (["hosts", "list"], page(HOST), 0),
        (["hosts", "show", ID], json.dumps(HOST).encode(), 0),
        (["hosts", "show", "twin"], page(HOST | {"name": "twin"}, HOST | {"name": "twin"}), 1),
        (["alerts", "list"], page(ALERT), 0),
        (["alerts", "show", ID], json.dumps(ALERT).encode(), 0),
        (["alerts", "ack", ID], json.dumps(ALERT).encode(), 0),
        (["channels", "list"], page(CHANNEL), 0),
        (["channels", "show", ID], json.dumps(CHANNEL).encode(), 0),
        (["channels", "log", ID], page(ATTEMPT), 0),
        (["channels", "test", ID], json.dumps(ATTEMPT).encode(), 1),
        (["channels", "test", ID], json.dumps(ATTEMPT | {"ok": True}).encode(), 0),
        (["channels", "retry", ID], json.dumps({"id": EVIL}).encode(), 0),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "programs"])
def test_what_is_shown_is_plain(answers: Answers, words: list[str], body: bytes, code: int, form: list[str]) -> None:
    answers.body = body
    shown = said(answers, *words, *form, code=code).split("\n")
    assert all(line.isprintable() for line in shown), shown
    assert not any(line.startswith("forged") for line in shown)
