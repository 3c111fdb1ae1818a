"""What a value that does not fit is told, a row for each thing that msgspec can say."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from rmactors.server.web.wording import worded

Name = Annotated[str, Meta(min_length=1, max_length=3)]
Share = Annotated[float, Meta(ge=0, le=0.5)]
Severity = Literal["info", "warning"]


@pytest.mark.parametrize(
    ("value", "wanted", "said"),
    [
        ("", Name, "must not be empty"),
        ("abcd", Name, "must have at most 3 characters"),
        ("ab", Annotated[str, Meta(min_length=12)], "must have at least 12 characters"),
        ([1, 2, 3], Annotated[list[int], Meta(max_length=2)], "must have at most 2 entries"),
        (-1, Share, "must be at least 0"),
        (1, Share, "must be at most 0.5"),
        (0, Annotated[int, Meta(ge=1, le=65535)], "must be at least 1"),
        ("x", float, "must be a number, not text"),
        (1.5, int, "must be a whole number, not a number"),
        (None, str, "must be text, not null"),
        (1, str | None, "must be text or null, not a whole number"),
        ("yes", bool, "must be true or false, not text"),
        ({}, list[str], "must be a list, not an object"),
        ([], dict[str, int], "must be an object, not a list"),
        ("fatal", Severity, "must be one of info, warning"),
        ("fatal", Severity | None, "must be one of info, warning"),
        ("q", Annotated[str, Meta(pattern="^a$")], "Expected str matching regex '^a$'"),
    ],
)
def test_a_sentence_says_what_would_fit(value: Any, wanted: Any, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(value, wanted)
    assert worded(str(raised.value), wanted) == said


def test_one_entry_of_a_list_is_told_its_choices() -> None:
    assert worded("Invalid enum value 'x'", list[Severity]) == "must be one of info, warning"
