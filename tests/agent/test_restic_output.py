"""restic's output as items: real lines of 0.14 and those that later versions print, cut anywhere."""

import json
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmactors.agent.restic_output import (
    LONGEST_LINE,
    Counts,
    ExitError,
    Item,
    ItemTrouble,
    Listing,
    OutputParser,
    Progress,
    Summary,
    Text,
)

STATUS = '{"message_type":"status","percent_done":0.25,"total_files":4,"files_done":1,"total_bytes":8,"bytes_done":2}'
SUMMARY = (
    '{"message_type":"summary","files_new":1,"files_changed":0,"files_unmodified":0,"dirs_new":1,"data_blobs":1,'
    '"tree_blobs":2,"data_added":704,"total_files_processed":1,"total_bytes_processed":2,'
    '"total_duration":0.206729419,"snapshot_id":"82f6f905"}'
)
UNREAD = (
    '{"message_type":"error","error":{"Op":"open","Path":"/home/closed","Err":13},'
    '"during":"archival","item":"/home/closed"}'
)
UNREAD_017 = '{"message_type":"error","error":{"message":"open /x: permission denied"},"during":"archival","item":"/x"}'
EXIT = '{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found"}'


def items(data: bytes, *cuts: int) -> list[Item]:
    parser = OutputParser("stdout")
    found: list[Item] = []
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        found += parser.feed(data[start:end])
    return found + parser.finish()


def one(line: str) -> Item:
    (item,) = items(line.encode() + b"\n")
    return item


def test_a_status_is_progress_in_percent() -> None:
    assert one(STATUS) == Progress(25.0, 1, 4, 2, 8, None)


def test_a_summary_has_our_names() -> None:
    item = one(SUMMARY)
    assert isinstance(item, Summary)
    assert item.numbers == {
        "files_new": 1, "files_changed": 0, "files_unmodified": 0, "dirs_new": 1, "files_total": 1, "bytes_total": 2,
        "bytes_added": 704, "duration_seconds": 0.206729419, "snapshot_id": "82f6f905",
    }  # fmt: skip


def test_an_unreadable_file_is_a_sentence_in_old_and_new_form() -> None:
    assert one(UNREAD) == ItemTrouble("open /home/closed: permission denied", "/home/closed", "archival")
    assert one(UNREAD_017) == ItemTrouble("open /x: permission denied", "/x", "archival")


def test_the_last_word_of_newer_versions_is_read() -> None:
    assert one(EXIT) == ExitError(12, "Fatal: wrong password or no key found")


def test_what_differs_between_snapshots_is_a_line_for_people() -> None:
    assert one('{"message_type":"change","path":"/home/a","modifier":"M"}') == Text("stdout", "M /home/a")


def test_an_array_is_a_listing_and_other_json_is_text() -> None:
    assert one('[{"id":"abc"}]') == Listing([{"id": "abc"}])
    assert one('{"level":"info"}') == Text("stdout", '{"level":"info"}')
    assert one("{not json") == Text("stdout", "{not json")


def test_numbers_beyond_63_bits_stay_exact_in_the_summary_and_fit_in_progress() -> None:
    big = 2**64 + 1
    summary = one(json.dumps({"message_type": "summary", "total_bytes_processed": big}))
    assert isinstance(summary, Summary)
    assert summary.numbers["bytes_total"] == big
    progress = one(json.dumps({"message_type": "status", "percent_done": 7, "total_bytes": big}))
    assert isinstance(progress, Progress)
    assert (progress.percent, progress.bytes_total) == (100.0, 2**63 - 1)


def test_a_line_without_end_is_cut_off_not_kept() -> None:
    parser = OutputParser("stderr")
    for _ in range(LONGEST_LINE // (1 << 16) + 10):
        assert parser.feed(b"x" * (1 << 16)) == []
    (item,) = parser.feed(b"\n")
    assert isinstance(item, Text)
    assert len(item.text) == LONGEST_LINE


def test_a_progress_bar_shows_its_last_state_and_control_characters_do_not_pass() -> None:
    assert one("10%\r20%\r30%") == Text("stdout", "30%")
    assert one("\x1b[2K\x1b[31msignal\x1b[0m\x00") == Text("stdout", "signal\ufffd")
    assert items(b"\xff\xfe\n") == [Text("stdout", "\ufffd\ufffd")]


def test_the_bars_of_check_and_prune_are_progress_and_the_full_one_a_line_as_well() -> None:
    assert one("[0:03] 37.50%  3 / 8 packs") == Progress(37.5, 0, 0, 0, 0, None)
    full = "[1:00:03] 100.00%  8 / 8 packs processed"
    assert items(f"{full}\n".encode()) == [Progress(100.0, 0, 0, 0, 0, None), Text("stdout", full)]
    assert one("[0:03] 3 files 8 KiB, total 9 files") == Text("stdout", "[0:03] 3 files 8 KiB, total 9 files")


def test_what_prune_removed_and_what_remains_are_numbers() -> None:
    line = "total prune:           1 blobs / 488.333 KiB"
    assert items(f"{line}\n".encode()) == [
        Counts({"blobs_removed": 1, "bytes_removed": 500_053}), Text("stdout", line),
    ]  # fmt: skip
    assert items(b"remaining:            10 blobs / 0 B\n")[0] == Counts({"blobs_remaining": 10, "bytes_remaining": 0})
    unused = items(b"unused size after prune: 1.500 KiB (0.10% of remaining size)\n")
    assert unused[0] == Counts({"bytes_unused": 1536})
    assert one("to delete:             5 blobs / 1.162 KiB") == Text(
        "stdout", "to delete:             5 blobs / 1.162 KiB"
    )


def test_numbers_that_cannot_be_are_left_out() -> None:
    """0.18.0 with --skip-if-unchanged, where nothing changed."""
    for wrong in ("-9223372036.854776", "1e12", "-1", "1e400"):
        summary = one(f'{{"message_type":"summary","total_duration":{wrong},"files_new":-1,"total_files_processed":3}}')
        assert summary == Summary({"files_total": 3})


def test_what_check_wraps_as_errors_are_lines_as_without_json() -> None:
    """0.19.1 wraps retries that went well, too; 0.18 and later its advice."""
    wrapped = json.dumps({"message_type": "error", "message": "\nThe index is damaged.\nrestic repair index\n\n"})
    assert items(f"{wrapped}\n".encode()) == [
        Text("stderr", "The index is damaged."),
        Text("stderr", "restic repair index"),
    ]
    assert items(b'{"message_type":"error","message":"\\n"}\n') == []


def test_what_check_suggests_comes_with_its_summary() -> None:
    summary = one('{"message_type":"summary","num_errors":1,"suggest_repair_index":true,"suggest_prune":true}')
    assert summary == Summary({"errors": 1}, ("restic repair index", "restic prune"))


def test_the_last_word_is_without_its_stack_trace() -> None:
    trace = (
        "main.init\n\tgithub.com/restic/restic/cmd/restic/cmd_forget.go:67\nruntime.goexit\n\truntime/asm_amd64.s:1771"
    )
    message = f"failed to remove one or more snapshots\nsecond line\n{trace}"
    line = json.dumps({"message_type": "exit_error", "code": 3, "message": message})
    assert one(line) == ExitError(3, "failed to remove one or more snapshots\nsecond line")


def test_a_line_end_that_restic_forgot_is_put_back() -> None:
    found = items(b"error while unlocking: ssh exited: exit status 255Fatal: unable to save snapshot: Fatal: x\n")
    assert found == [
        Text("stdout", "error while unlocking: ssh exited: exit status 255"),
        Text("stdout", "Fatal: unable to save snapshot: Fatal: x"),
    ]


def test_a_repository_that_was_made_is_a_line() -> None:
    line = '{"message_type":"initialized","id":"ab12cd34ef56","repository":"/r"}'
    assert one(line) == Text("stdout", "created the repository ab12cd34ef")


EVERYTHING = "\n".join(
    ["[0:01] 50.00%  1 / 2 packs", "aFatal: b", STATUS, "plain ü", UNREAD, "", SUMMARY, EXIT, "[1,2]", "{}", "no end"]
).encode()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(EVERYTHING)), max_size=12))
def test_any_cut_gives_the_same_items(cuts: list[int]) -> None:
    assert items(EVERYTHING, *cuts) == items(EVERYTHING)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    assert isinstance(items(b'{"message_type":"status",' + data + b"\n" + data), list)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["status", "summary", "error", "exit_error", "statistics", "x"]),
    st.dictionaries(
        st.sampled_from(
            ["percent_done", "total_files", "error", "item", "during", "code", "message", "files_new", "snapshot_id",
             "total_bytes", "seconds_remaining", "broken_packs"]
        ),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())
        | st.dictionaries(st.sampled_from(["Op", "Path", "Err", "message"]), st.integers() | st.text(max_size=5)),
    ),
)  # fmt: skip
def test_no_value_in_restics_json_breaks_it(kind: str, fields: dict[str, object]) -> None:
    found = items(json.dumps({"message_type": kind, **fields}).encode())
    assert len(found) <= 1 or all(isinstance(item, Text) for item in found)
