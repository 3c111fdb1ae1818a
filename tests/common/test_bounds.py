"""Every type has a bound before a frame of it can be read."""

from datetime import datetime
from typing import Annotated, Any, get_args

import msgspec
import pytest
from msgspec import Meta, Struct

from rmactors.common import bounds, wire
from rmactors.common.bounds import fitter


def typed(kind: Any) -> type[Struct]:
    return msgspec.defstruct("Typed", [("field", kind)])


@pytest.mark.parametrize(
    "kind", [int, float, list[str], dict[str, str], Any, msgspec.Raw, int | str, Annotated[int, Meta(ge=0)], set[int]]
)
def test_a_field_that_anything_fits_into_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"Typed\.field"):
        fitter(typed(kind))


@pytest.mark.parametrize(
    ("kind", "value", "fitted"),
    [
        (str, "x" * 3000, "x" * 1999 + "…"),
        (str | None, None, None),
        (wire.Name, "x" * 300, "x" * 199 + "…"),
        (wire.Name | None, "a\0", "a\ufffd"),
        (Annotated[list[int | None], Meta(extra={"most": 2})] | None, None, None),
        (Annotated[list[str], Meta(extra={"most": 2})], ["a", "b", "c"], ["a", "b"]),
        (Annotated[list[str], Meta(extra={"most": 2})], ["a", "\0"], ["a", "\ufffd"]),
        (Annotated[list[wire.Id], Meta(extra={"most": 1})], ["a", "b"], ["a"]),
        (Annotated[int, Meta(ge=0, le=7)], 3, 3),
        (wire.Count, -1, 0),
        (bool, True, True),
        (datetime, datetime(1, 1, 1), datetime(1, 1, 1)),
        (wire.ResticInfo | msgspec.UnsetType | None, msgspec.UNSET, msgspec.UNSET),
        (wire.ResticInfo | None, wire.ResticInfo("\0"), wire.ResticInfo("\ufffd")),
    ],
)
def test_a_value_is_brought_within_the_bounds_of_its_type(kind: Any, value: Any, fitted: Any) -> None:
    if "int | None" in str(kind):
        kind = Annotated[list[wire.Count | None], Meta(extra={"most": 2})] | None
    made = typed(kind)
    assert getattr(fitter(made)(made(value)), "field") == fitted  # noqa: B009 - made of its name


@pytest.mark.parametrize("kind", get_args(wire.FromAgent))
def test_every_frame_of_an_agent_has_bounds(kind: type[Struct]) -> None:
    assert callable(fitter(kind))


def test_what_fits_is_passed_on_as_it_is() -> None:
    frame = wire.JobLog("j", 0, [wire.LogLine("stdout", "fine")])
    assert fitter(wire.JobLog)(frame) is frame


@pytest.mark.parametrize(("fit", "most"), [(bounds.name, 200), (bounds.text, 2000), (bounds.line, 1000)])
def test_a_text_is_never_longer_than_it_may_be(fit: Any, most: int) -> None:
    for length in (0, most - 1, most, most + 1, 10 * most):
        for letter in ("a", "\0", "\n", "\r", "\t", "\x1b[0m", "\U0001f4a5", "\ud800"):
            kept = fit(letter * length)
            assert len(kept) <= most
            kept.encode()
            assert not set(kept) & set("\0\r\x1b\x7f")
