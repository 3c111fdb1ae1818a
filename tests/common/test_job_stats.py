"""Whatever an agent sends as statistics, what is kept is flat, short and can be shown."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.common import job_stats
from rmactors.common.job_stats import fit

LISTED = {"id": "aaaa1111", "time": "2026-11-22T12:00:00Z", "host": "nas", "paths": ["/home"], "size": 18}


@pytest.mark.parametrize(
    "value", [0, -1, 1 << 63, -(1 << 63), 1.5, -9223372036.85, "", "x" * 200, "näs ☃", True, False]
)
def test_what_fits_is_kept_as_it_is(value: object) -> None:
    assert fit(json.dumps({"n": value, "m": 1})) == job_stats.Fitted({"n": value, "m": 1})


@pytest.mark.parametrize(
    "text",
    [
        '{"n": ' + odd + ', "m": 1}'
        for odd in (
            "1" * 401, "1" * 5000, "-" + "9" * 30, "1e999", "1e300", str((1 << 63) + 1), "[1]", "[]", "{}", '{"a": 1}',
            json.dumps("x" * 201), "[" * 500 + "]" * 500,
        )
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_out_and_said(text: str) -> None:
    found = fit(text, "backup")
    assert (found.values, found.left_out) == ({"m": 1}, ("n",))
    assert found.warning == "left out of the job's statistics: n"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"n": None}, {}),
        ({"n": None, "deep": None, "m": 2}, {"m": 2}),
        ({"n": "a\0b\n\u202e"}, {"n": "a\ufffdb\ufffd\ufffd"}),
        ({"warning": "w" * 300}, {"warning": "w" * 200}),
        ({"warning": " a\n"}, {"warning": "a"}),
    ],
)
def test_nothing_is_said_of_what_says_nothing_and_of_odd_characters(
    given: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert fit(json.dumps(given)) == job_stats.Fitted(kept)
    strange = json.dumps(given)[:-1] + ', "z": 1e999}'
    assert fit(strange) == job_stats.Fitted(kept, ("z",))


def test_names_are_short_few_and_printable() -> None:
    found = fit(json.dumps({"\0" * 3: 1, "k" * 201: 2, "fine": 3}))
    assert (found.values, found.left_out) == ({"fine": 3}, ("\ufffd\ufffd\ufffd", "k" * 40))
    many = fit(json.dumps({f"n{n}": n for n in range(70)}))
    assert len(many.values) == 64
    assert many.warning == "left out of the job's statistics: n64, n65, n66 and 3 more"


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, '{"a": ' + "[" * 100_000, '{"a": "\\ud800"}'])
def test_what_is_no_object_has_nothing_in_it(text: str) -> None:
    assert fit(text) == job_stats.Fitted({}, ("all of them",))


def test_a_list_of_snapshots_is_kept_where_it_belongs() -> None:
    text = json.dumps(
        {"snapshots": [LISTED, 7, {"id": 5, "paths": "x", "size": -1, "plan": "p"}], "snapshots_count": 3}
    )
    found = fit(text, "snapshots")
    assert json.loads(found.text) == {"snapshots": [LISTED, {}, {"plan": "p"}], "snapshots_count": 3}
    assert found.left_out == ()
    assert fit(text) == found
    assert fit(text, "backup").left_out == ("snapshots",)
    assert fit('{"snapshots": {}}', "snapshots").left_out == ("snapshots",)


def test_a_list_of_snapshots_is_bounded() -> None:
    worst = {**LISTED, "host": "h" * 900, "plan": "p" * 900, "paths": ["/\0" + "x" * 900] * 900, "size": 10**400}
    strange = '{"id": "a", "size": ' + "1" * 5000 + "}"
    text = '{"snapshots": [' + ",".join([json.dumps(worst)] * 400 + [strange]) + "]}"
    kept = json.loads(fit(text, "snapshots").text)["snapshots"]
    assert len(kept) == job_stats.SNAPSHOTS
    assert kept[-1] == {"id": "a"}
    assert (len(kept[0]["host"]), len(kept[0]["paths"]), kept[0].get("size")) == (200, job_stats.PATHS, None)
    assert kept[0]["paths"][0].startswith("/\ufffdx")


def test_the_sides_of_a_comparison_become_flat() -> None:
    text = json.dumps({"added": {"files": 3, "bytes": 1000, "odd": 10**30}, "removed": {"files": [1]}})
    found = fit(text, "diff")
    assert (found.values, found.left_out) == ({"added_files": 3, "added_bytes": 1000}, ("removed",))
    assert fit(text, "backup").left_out == ("added", "removed")


numbers = (
    st.integers() | st.integers(min_value=10**18, max_value=10**30) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=40)  # each takes a while to make
@given(st.dictionaries(st.text(), values), st.sampled_from([None, "backup", "diff", "snapshots"]))
def test_what_is_kept_is_flat_whatever_was_sent(sent: dict[str, Any], kind: str | None) -> None:
    found = fit(json.dumps(sent), kind)
    assert len(found.values) <= 64
    for name, value in json.loads(found.text).items():
        assert name.isprintable()
        if name != "snapshots":
            assert isinstance(value, bool | int | float | str)
    assert fit(found.text, kind) == job_stats.Fitted(json.loads(found.text)), "what is kept is kept again"


def test_what_fits_whole_comes_with_no_warning() -> None:
    assert fit('{"files_new": 3}').warning is None
