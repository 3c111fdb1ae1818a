"""Backups that succeeded and look wrong: one row a case."""

import pytest
from msgspec import structs

from rmactors.common.clock import DAY, HOUR
from rmactors.common.vocabulary import JobEnd, JobKind
from rmactors.server.actors.rules.decisions import Decidable, decide
from rmactors.server.actors.rules.suspicious import KEPT, doubt
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, SaveAlertState, TouchAlert
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.requests import Change, JudgeEnd, Resolve
from rmactors.server.messages.schedules import DeleteSchedule
from rmactors.server.state.alert_state import AlertKey, Size, Usual, usual_from_json, usual_to_json
from rmactors.server.state.host_state import HostState, Schedule
from rmactors.server.state.slots import Slots
from tests.rules.asked import AUDIT, FLOOR, NOON


def usual(*sizes: tuple[int | None, int | None]) -> Usual:
    return Usual(tuple(Size(*size) for size in sizes))


MANY = (1000, 10_000)


@pytest.mark.parametrize(
    ("known", "files", "data", "why"),
    [
        # nothing at all is always wrong, the first time too
        ([], 0, 0, ("files", None)),
        ([MANY], 0, 0, ("files", None)),
        ([MANY] * 3, 0, 0, ("files", 1000)),
        # unless that is what is usual
        ([(0, 0)] * 3, 0, 0, None),
        ([(0, 0), (0, 0), (0, 0), MANY, MANY, MANY, MANY], 0, 0, ("files", 1000)),
        # less than a tenth of the usual files or bytes; a tenth is enough
        ([MANY] * 3, 99, 10_000, ("files", 1000)),
        ([MANY] * 3, 100, 1000, None),
        ([MANY] * 3, 1000, 999, ("bytes", 10_000)),
        ([MANY] * 3, 1000, 0, ("bytes", 10_000)),
        ([MANY] * 3, 99, 999, ("files", 1000)),
        ([MANY] * 3, 1_000_000, 10**15, None),  # more is never wrong
        # of at least three
        ([MANY] * 2, 1, 1, None),
        ([], 1, 0, None),
        # of the median: one that was very large or small does not matter
        ([MANY, MANY, (10**9, 10**15)], 100, 1000, None),
        ([(10, 10), (20, 20), (1000, 1000), (2000, 2000)], 51, 51, None),
        ([(10, 10), (20, 20), (1000, 1000), (2000, 2000)], 50, 51, ("files", 510)),
        # what a report does not say is not judged, and counts in no measure
        ([MANY] * 3, None, 5, ("bytes", 10_000)),
        ([MANY] * 3, None, 5000, None),
        ([MANY] * 3, 5, None, ("files", 1000)),
        ([(None, 10_000)] * 3, 1, 10_000, None),
        ([(None, 10_000)] * 3 + [MANY] * 2, 1, 10_000, None),
    ],
)
def test_what_looks_wrong(
    known: list[tuple[int | None, int | None]], files: int | None, data: int | None, why: tuple[str, int | None] | None
) -> None:
    found = doubt(usual(*known), Size(files, data))
    if why is None:
        assert found is None
        return
    assert found is not None
    usually = found.usual.files if found.what == "files" else found.usual.bytes
    assert (found.size, (found.what, usually)) == (Size(files, data), why)


@pytest.mark.parametrize("known", [None, Usual(), usual(MANY, (None, 3)), Usual((Size(1, 2),), Size(0, None))])
def test_what_is_usual_is_read_as_it_was_written(known: Usual | None) -> None:
    assert usual_from_json(usual_to_json(known)) == known


# ---- stories of one host


def schedule(name: str, plan: str | None = None) -> Schedule:
    slots = Slots("0 3 * * *", "UTC", NOON - 30 * DAY, 0.0, NOON - 9 * HOUR)
    return Schedule(name, "host", name.title(), True, "alert", 3600.0, slots, "backup", plan=plan)


def a_book() -> HostState:
    known = [schedule("nightly", "data"), schedule("noon", "data"), schedule("music", "music")]
    return HostState("host", True, False, schedules={of.id: of for of in known}, plans=("data", "music"))


def backup(files: int | None, hour: int, of: str | None = "nightly", plan: str | None = "data", data: int | None = None,
           status: JobEnd = "succeeded", kind: JobKind = "backup") -> JudgeEnd:  # fmt: skip
    if data is None and files is not None:
        data = files * 10
    report = EndReport(
        "host", f"{hour} {of} {plan} {files}", kind, plan, of, None, status, "ok", None, 0, NOON + hour * HOUR,
        NOON + hour * HOUR, "{}", None, None, NOON + hour * HOUR, files_total=files, bytes_total=data,
    )  # fmt: skip
    return JudgeEnd(report, no_reply)


def told(host: HostState, step: Decidable | str, fresh: str) -> list[str]:
    """What a step does to alerts about sizes: `raises nightly`, and so on. `meant SUBJECT` and `resolve SUBJECT` are an
    operator's."""
    subjects = {
        state.alert.id: key.subject for key, state in host.alert_states.items()
        if state.alert is not None and key.kind == "backup_suspicious"
    }  # fmt: skip
    if isinstance(step, str):
        answer, _, about = step.partition(" ")
        alert = next(id for id, of in subjects.items() if of == about)
        step = Resolve(alert, "anna", None, NOON, AUDIT, no_reply, meant=answer == "meant")
    versions = {key: state.version for key, state in host.alert_states.items()}
    decision = decide(host, step, fresh, FLOOR)
    did = []
    for write in decision.writes:
        match write:
            case RaiseAlert(kind="backup_suspicious"):
                did.append(f"raises {write.subject}")
            case TouchAlert() if write.alert_id in subjects:
                did.append(f"touches {subjects[write.alert_id]}")
            case ResolveAlert() if write.alert_id in subjects:
                did.append(f"resolves {subjects[write.alert_id]}")
            case SaveAlertState():
                key = AlertKey(write.host_id, write.kind, write.subject)
                assert write.version == versions.get(key, 0) + 1, "each version once, in order"
                versions[key] = write.version
    assert versions == {key: state.version for key, state in host.alert_states.items()}, (
        "all that is remembered is written"
    )
    return did


THREE: list[Decidable | str] = [backup(1000, hour) for hour in (1, 2, 3)]
QUIET: list[list[str]] = [[], [], []]


@pytest.mark.parametrize(
    ("story", "does"),
    [
        ([backup(0, 1)], [["raises nightly"]]),  # the very first
        ([*THREE, backup(0, 4), backup(0, 5), backup(900, 6)],
         [*QUIET, ["raises nightly"], ["touches nightly"], ["resolves nightly"]]),
        # it does not enter the measure
        ([*THREE, *[backup(5, hour) for hour in range(4, 20)]],
         [*QUIET, ["raises nightly"], *[["touches nightly"]] * 15]),
        # unless it is meant: then it is the measure at once
        ([*THREE, backup(5, 4), "meant nightly", backup(5, 5), backup(0, 6)],
         [*QUIET, ["raises nightly"], ["resolves nightly"], [], ["raises nightly"]]),
        ([backup(0, 4), "meant nightly", backup(0, 5), backup(1000, 6), backup(0, 7)],
         [["raises nightly"], ["resolves nightly"], [], [], []]),
        # resolved without saying so, the measure is as before: the next one like it is news
        ([*THREE, backup(5, 4), "resolve nightly", backup(5, 5), "meant nightly", backup(5, 6)],
         [*QUIET, ["raises nightly"], ["resolves nightly"], ["raises nightly"], ["resolves nightly"], []]),
        ([*THREE, backup(5, 4), "resolve nightly", backup(1000, 5), backup(5, 6)],
         [*QUIET, ["raises nightly"], ["resolves nightly"], [], ["raises nightly"]]),
        # no matter who runs the plan, its backups have one measure
        ([*THREE, backup(5, 4, None)], [*QUIET, ["raises plan:data"]]),
        ([*THREE, backup(5, 4, "noon", None)], [*QUIET, ["raises noon"]]),
        ([*THREE, backup(5, 4, "noon"), backup(1000, 5)], [*QUIET, ["raises noon"], ["resolves noon"]]),
        ([*THREE, backup(5, 4), backup(5, 5, None), "meant nightly", backup(5, 6, "noon")],
         [*QUIET, ["raises nightly"], ["touches nightly"], ["resolves nightly"], []]),
        # another plan has its own
        ([*THREE, backup(5, 4, "music", "music"), backup(5, 5), backup(1000, 6, "music", "music")],
         [*QUIET, [], ["raises nightly"], []]),
        ([*[backup(1000, hour, None, None) for hour in (1, 2, 3)], backup(5, 4, None, None), "meant "],
         [*QUIET, ["raises "], ["resolves "]]),
        # only backups that succeeded and say what they hold
        ([*THREE, backup(0, 4, status="partial"), backup(0, 5, status="failed"), backup(0, 6, kind="check")],
         [*QUIET, [], [], []]),
        ([*THREE, backup(None, 4)], [*QUIET, []]),
        ([*THREE, backup(0, 4), backup(None, 5), backup(0, 6, status="failed")],
         [*QUIET, ["raises nightly"], [], []]),
        # in the order in which they happened: what is older than a good one raises nothing and is no measure
        ([*THREE, backup(0, 0)], [*QUIET, []]),
        ([*THREE, *[backup(5000, 0)] * 5, backup(110, 4)], [*QUIET, *[[]] * 5, []]),
        ([*THREE, backup(0, 9), backup(1000, 8), backup(1000, 10)],
         [*QUIET, ["raises nightly"], [], ["resolves nightly"]]),
    ],
)  # fmt: skip
def test_a_story(story: list[Decidable | str], does: list[list[str]]) -> None:
    host = a_book()
    assert [told(host, step, f"alert {number}") for number, step in enumerate(story)] == does


def test_only_so_many_are_the_measure() -> None:
    host = a_book()
    for hour in range(KEPT + 5):
        told(host, backup(1000 + hour, hour), "none")
    known = host.state_of(AlertKey("host", "backup_suspicious", "plan:data")).usual
    assert known == usual(*[(1000 + hour, 10_000 + 10 * hour) for hour in range(5, KEPT + 5)])


def test_it_is_a_warning_that_says_how_much_is_usual_and_what_to_do() -> None:
    host = a_book()
    for hour in (1, 2, 3):
        told(host, backup(12_345, hour), "none")
    writes = decide(host, backup(0, 4), "fresh", FLOOR).writes
    (raised,) = [write for write in writes if isinstance(write, RaiseAlert)]
    assert (raised.severity, raised.job_id) == ("warning", "4 nightly data 0")
    assert raised.message == (
        "Nightly was backed up, but with 0 files (usually about 12,300) and 0 bytes (usually about 123 kB): is the"
        " source mounted and complete? If this is meant, answer so: later backups are then compared with this one."
    )
    writes = decide(host, backup(12_345, 5, data=99), "none", FLOOR).writes
    (touched,) = [write for write in writes if isinstance(write, TouchAlert)]
    assert touched.message.startswith(
        "Nightly was backed up, but with 99 bytes (usually about 123 kB) and 12,345 files (usually about 12,300): is"
    )
    writes = decide(host, backup(12_000, 6), "none", FLOOR).writes
    (resolved,) = [write for write in writes if isinstance(write, ResolveAlert)]
    assert resolved.message == "Nightly: the newest backup holds about what it usually does."


def test_it_is_a_good_end_all_the_same() -> None:
    host = a_book()
    failed = decide(host, backup(0, 1, status="failed"), "failure", FLOOR).writes
    assert [write.kind for write in failed if isinstance(write, RaiseAlert)] == ["backup_failed"]
    writes = decide(host, backup(0, 2), "doubt", FLOOR).writes
    assert [write.alert_id for write in writes if isinstance(write, ResolveAlert)] == ["failure"]
    assert [write.alert_id for write in writes if isinstance(write, RaiseAlert)] == ["doubt"]
    assert host.schedules["nightly"].last_good_at == NOON + 2 * HOUR


def test_a_deleted_schedule_raises_nothing_and_its_alert_ends() -> None:
    host = a_book()
    told(host, backup(0, 1), "a")
    deleted = decide(host, Change(DeleteSchedule("nightly", NOON, AUDIT), no_reply), "x", FLOOR)
    assert [write.alert_id for write in deleted.writes if isinstance(write, ResolveAlert)] == ["a"]
    assert told(host, backup(0, 2), "b") == []
    assert told(host, backup(0, 3, plan=None), "b") == []


def test_that_it_is_meant_is_told_with_what_the_measure_is_now() -> None:
    host = a_book()
    for step in (*THREE, backup(5, 4, "noon"), backup(7, 5, "noon")):  # the newest is the one that is meant
        told(host, step, "a")
    writes = decide(host, Resolve("a", "anna", "cleaned up", NOON, AUDIT, no_reply, meant=True), "x", FLOOR).writes
    text = "It is meant that this backup holds 7 files and 70 bytes: later backups are compared with it."
    assert ResolveAlert("a", NOON, "anna", "cleaned up", text, AUDIT, Reason.MEANT) in writes
    of_plan = host.state_of(AlertKey("host", "backup_suspicious", "plan:data"))
    assert of_plan.usual == usual((7, 70), (7, 70), (7, 70))


def test_an_operator_who_only_resolves_it_says_nothing_of_the_measure() -> None:
    host = a_book()
    for step in (*THREE, backup(5, 4)):
        told(host, step, "a")
    writes = decide(host, Resolve("a", "anna", None, NOON, AUDIT, no_reply), "x", FLOOR).writes
    assert ResolveAlert("a", NOON, "anna", None, None, AUDIT, Reason.RESOLVED_BY_HAND) in writes
    of_plan = host.state_of(AlertKey("host", "backup_suspicious", "plan:data"))
    assert of_plan.usual == structs.replace(usual(MANY, MANY, MANY), doubted=Size(5, 50))


def test_saying_that_it_is_meant_of_what_nothing_is_known_of_any_more_makes_no_measure() -> None:
    host = a_book()
    told(host, backup(0, 1), "a")
    of_plan = AlertKey("host", "backup_suspicious", "plan:data")
    host.alert_states[of_plan] = structs.replace(host.state_of(of_plan), usual=None)
    assert told(host, "meant nightly", "x") == ["resolves nightly"]
    assert host.state_of(of_plan).usual is None
