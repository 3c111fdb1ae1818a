"""Time zones as a list, by region. Pure."""

from functools import cache
from itertools import groupby

from rmactors.common import zones


@cache
def zone_groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """(region, [(name, what stands for it there)]), UTC first: `("Europe", [("Europe/Berlin", "Berlin"), …])`.

    As the time zone data was when this was first asked for: a new zone comes once in some years.
    """
    named = [(name.partition("/")[0], name) for name in zones.names()]
    groups = [
        (region, [(name, _place(name)) for _region, name in found])
        for region, found in groupby(named, key=lambda each: each[0])
    ]
    return [("UTC", [("UTC", "UTC")]), *groups]


def _place(name: str) -> str:
    return name.partition("/")[2].replace("_", " ").replace("/", " / ")
