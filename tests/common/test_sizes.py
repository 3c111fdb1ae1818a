"""One way to write a number of bytes, for pages and for the lines of the agent."""

import pytest

from rmactors.common.sizes import size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (48_830, "49 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
        (48_830_000, "48.8 MB"), (10**18, "1 EB"), (999 * 10**18, "999 EB"),
    ],
)  # fmt: skip
def test_sizes_have_two_or_three_figures(count: int, words: str) -> None:
    assert size(count) == words
