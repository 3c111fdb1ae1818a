"""Which files restic could not restore, by what it said: each version in its own words, as they were seen."""

import json

from rmactors.agent.restic_output import OutputParser
from rmactors.agent.restore_test.sampling import Entry
from rmactors.agent.restore_test.troubles import Troubles, troubles_of
from rmactors.agent.verdict import OutputSummary

FOLDER = "/state/restore-tests/1/files"
A, B, COLON = (Entry(path, 1, 0, 0) for path in ("/x/a", "/x/b", "/x/a: b"))
MISSING = "StreamPack: open /repo/data/dc/dc45: no such file or directory"


def heard(*lines: str) -> Troubles:
    summary, parser = OutputSummary(), OutputParser("stderr")
    for item in parser.feed("".join(f"{line}\n" for line in lines).encode()):
        summary.take(item)
    return troubles_of(summary, [A, B, COLON], FOLDER)


def error(message: str, item: str) -> str:
    return json.dumps({"message_type": "error", "error": {"message": message}, "during": "restore", "item": item})


def last(count: int) -> str:
    return json.dumps({"message_type": "exit_error", "code": 1, "message": f"Fatal: There were {count} errors\n"})


def test_data_that_did_not_come_is_told_with_its_file_and_is_damage() -> None:
    words = "decrypting blob <data/8f> from pack 64 failed: ciphertext verification failed"
    troubles = heard(error(words, "/x/a"), error(f"lchown {FOLDER}/x/a: no such file or directory", "/x/a"), last(2))
    assert troubles.files == {"/x/a": words}
    assert (troubles.metadata, troubles.complete, troubles.damage) == (0, True, True)


def test_plain_text_says_the_same_also_where_a_name_has_a_colon() -> None:
    troubles = heard(
        "ignoring error for /x/a: b: ciphertext verification failed", f"ignoring error for /x/b: {MISSING}",
        "ignoring error for /x/b: UtimesNano: no such file or directory", "Fatal: There were 3 errors",
    )  # fmt: skip
    assert troubles.files == {"/x/a: b": "ciphertext verification failed", "/x/b": MISSING}
    assert (troubles.metadata, troubles.complete, troubles.damage) == (0, True, True)


def test_what_verify_finds_is_named_by_where_it_lies_and_told_by_where_it_lay() -> None:
    words = f"Unexpected content in {FOLDER}/x/b, starting at offset 0"
    expected = {"/x/b": "Unexpected content in /x/b, starting at offset 0"}
    assert heard(error(words, f"{FOLDER}/x/b"), last(1)).files == expected
    assert heard(f"ignoring error for {FOLDER}/x/b: {words}", "Fatal: There were 1 errors").files == expected


def test_owners_and_attributes_that_cannot_be_set_here_say_nothing_about_the_data() -> None:
    said = [
        f"lchown {FOLDER}/x/a: operation not permitted",
        "xattr.LSet /x/b security.selinux: operation not supported",
    ]
    troubles = heard(error(said[0], "/x/a"), error(said[1], "/x/b"), error("chmod /x: read-only", "/x"), last(3))
    assert troubles == Troubles({}, 3, complete=True)
    assert not troubles.damage


def test_where_more_was_said_than_is_kept_nobody_who_was_named_is_believed_to_be_well() -> None:
    """restic 0.14 with a pack gone: its last lines are about times that could not be set."""
    lines = [f"ignoring error for {path}: {MISSING}" for path in ("/x/a", "/x/b")]
    lines += ["ignoring error for /x/a: UtimesNano: no such file or directory"] * 30
    troubles = heard(*lines, "Fatal: There were 32 errors")
    assert troubles.files == {"/x/a": MISSING, "/x/b": MISSING}
    assert not troubles.complete
    assert troubles.damage
    metadata = [error("lchown /x/a: operation not permitted", "/x/a")] * 30
    assert heard(*metadata, last(30)).files == {"/x/a": "restic could not restore it"}


def test_a_full_disk_is_no_damage() -> None:
    troubles = heard(error(f"write {FOLDER}/x/a: no space left on device", "/x/a"), last(1))
    assert troubles.files == {"/x/a": "write /x/a: no space left on device"}
    assert not troubles.damage


def test_an_end_without_a_count_is_not_the_whole_story() -> None:
    assert not heard("Fatal: unable to open config file: connection refused").complete
