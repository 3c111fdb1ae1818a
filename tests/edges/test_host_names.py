"""What a host may be called: what it says goes into headers, lists and logs."""

import pytest

from rmactors.server.edges.host_names import host_name_problem


@pytest.mark.parametrize("name", ["nas", "nas 1", "Büro-NAS", "x" * 100, "機"])
def test_a_name_that_can_stand_everywhere_has_no_problem(name: str) -> None:
    assert host_name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "must have 1 to 100 characters"),
        ("x" * 101, "must have 1 to 100 characters"),
        (" nas", "must not begin or end with spaces"),
        ("nas\u00a0", "must not begin or end with spaces"),
        ("na\ns", "must not contain control characters"),
        ("na\u202es", "must not contain control characters"),
        ("na\ufffds", "must not contain control characters"),
    ],
)
def test_a_name_that_cannot_is_refused_with_the_reason(name: str, problem: str) -> None:
    assert host_name_problem(name) == problem
