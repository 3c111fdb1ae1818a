"""The two forms of the log."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from rmactors.common import logs
from rmactors.common.logs import FORMATS, fields


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("rmactors")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], root.level, _ = before
    ours.setLevel(before[2])
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = True


def lines(monkeypatch: pytest.MonkeyPatch, how: str, level: str = "info") -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    logs.set_up(level, how)
    return written


def test_an_event_is_one_json_object_with_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    written = lines(monkeypatch, "json")
    said = fields("alert.raised", alert_id="01A", host="nas\n1", job_id=None, subject="", message="not this", n=3)
    logging.getLogger("rmactors.x").warning("it %s\nbroke", "really", extra=said)
    [line] = written.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("at").endswith("Z")
    assert found == {
        "level": "warning", "logger": "rmactors.x", "event": "alert.raised", "message": "it really\nbroke",
        "alert_id": "01A", "host": "nas\n1", "n": 3,
    }  # fmt: skip


def test_text_from_outside_makes_no_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    written = lines(monkeypatch, "text")
    said = fields("agent.connected", host='evil"\n2026 ERROR forged', host_id="01H")
    logging.getLogger("rmactors.x").info("hello\r\n2026 ERROR forged \x1b[31m", extra=said)
    [line] = written.getvalue().splitlines()
    assert line.endswith(
        r'INFO rmactors.x: hello\r\n2026 ERROR forged \x1b[31m host="evil\"\n2026 ERROR forged" host_id=01H'
    )


@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("evil", ["\x1b]0;t\x07", "\x7f", "\x9b31m", "\u202e", "\u2028", "\U000e0041"])
def test_nothing_that_a_terminal_obeys_is_in_a_line(monkeypatch: pytest.MonkeyPatch, how: str, evil: str) -> None:
    written = lines(monkeypatch, how)
    log, said = logging.getLogger("rmactors.x"), fields("agent.connected", host=evil)
    try:
        raise ValueError(evil)
    except ValueError:
        log.exception("it %s", evil, extra=said)
    logs.tell(log, [("info", "alert.raised", {"host": evil})])
    text = written.getvalue()
    assert all(line.isprintable() for line in text.split("\n"))
    if how == "json":
        first, second = map(json.loads, text.splitlines())
        assert (first["message"], first["host"], second["host"]) == (f"it {evil}", evil, evil)


@pytest.mark.parametrize("how", FORMATS)
def test_a_traceback_is_kept(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    written = lines(monkeypatch, how)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("rmactors").exception("it crashed")
    text = written.getvalue()
    assert "ValueError: why" in text
    assert text.count("\n") == 1 if how == "json" else text.count("\n") > 3


@pytest.mark.parametrize("level", logs.LEVELS)
def test_others_say_nothing_below_a_warning_whatever_the_level(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    written = lines(monkeypatch, "json", level)
    logging.getLogger("httpx").info('HTTP Request: POST https://hooks.example/secret "200 OK"')
    logging.getLogger("httpcore").debug("connect_tcp.started")
    assert written.getvalue() == ""
    logging.getLogger("rmactors").log(getattr(logging, level.upper()), "ours")
    assert json.loads(written.getvalue())["message"] == "ours"


def test_what_was_committed_is_told_from_its_level_on(monkeypatch: pytest.MonkeyPatch) -> None:
    written = lines(monkeypatch, "json", "warning")
    told: list[logs.Told] = [
        ("info", "alert.raised", {"alert_id": "01A"}),
        ("error", "delivery.dead", {"channel_id": "01C", "status_code": None}),
    ]
    logs.tell(logging.getLogger("rmactors.server.main"), told)
    [line] = written.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["channel_id"], found["level"]) == ("delivery.dead", "01C", "error")
    assert "status_code" not in found


@pytest.mark.parametrize("how", FORMATS)
def test_all_that_one_transaction_tells_are_lines_of_their_own(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    written = lines(monkeypatch, how)
    told: list[logs.Told] = [("info", "alert.raised", {"host": f"nas{n}\n"}) for n in range(3)]
    logs.tell(logging.getLogger("rmactors.server.main"), [*told, ("debug", "job.ended", {})])
    found = written.getvalue().splitlines()
    assert len(found) == 3
    assert all("alert.raised" in line and f"nas{n}" in line for n, line in enumerate(found))


@pytest.mark.parametrize("how", FORMATS)
def test_half_a_character_is_written_somehow(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    written = lines(monkeypatch, how)
    logging.getLogger("rmactors").info("no %s", "\udc80", extra=fields("x", path="a\udc80b"))
    assert len(written.getvalue().splitlines()) == 1
    assert "Traceback" not in written.getvalue()
