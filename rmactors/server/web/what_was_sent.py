"""What agents sent, as the API shows it: all of it with the one object, the first of it in a list of two hundred.

Any reader of JSON can read it, also where it was stored before it was judged.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Raw

from rmactors.common import job_stats

LISTED_BYTES: Final = 4096
"""How much of one thing of a host a list shows, as JSON: there may be two hundred rows."""


@lru_cache(maxsize=1024)
def statistics(text: str) -> Any:
    """A job's, as they would be taken now, whenever they were stored: any reader of JSON can read them."""
    return Raw(job_stats.fit(text).text.encode())


@lru_cache(maxsize=4096)
def first_statistics(text: str) -> Any:
    """As many as a list shows, and no list of snapshots."""
    kept, left = {}, LISTED_BYTES
    for name, value in job_stats.fit(text).values.items():
        left -= len(msgspec.json.encode(name)) + len(msgspec.json.encode(value)) + 2
        if left < 0 or name == "snapshots":
            break
        kept[name] = value
    return kept


def first_plans(text: str) -> list[Any]:
    """As many of a host's plans, and of each one's sources, as a list shows."""
    found = json_list(text)
    if len(text) <= LISTED_BYTES:
        return found
    kept, left = [], LISTED_BYTES
    for plan in found:
        shown = {**plan, "sources": plan["sources"][:10]} if isinstance(plan, dict) and "sources" in plan else plan
        left -= len(msgspec.json.encode(shown)) + 1
        if left < 0:
            break
        kept.append(shown)
    return kept


def first_texts(text: str) -> list[Any]:
    """As many of a list of texts as a list shows."""
    kept, left = [], LISTED_BYTES
    for each in json_list(text):
        left -= len(msgspec.json.encode(each)) + 1
        if left < 0:
            break
        kept.append(each)
    return kept


@lru_cache(maxsize=1024)
def is_object(text: str) -> bool:
    """Whether this is JSON, and an object."""
    try:
        msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return False
    return True


def json_list(text: str) -> list[Any]:
    """A stored JSON list; empty where it is none."""
    try:
        found = msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError:
        return []
    return found
