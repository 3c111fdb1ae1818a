"""What an agent may send, and what it may not, made from the types in `wire`: a field that is new is in it.

Values are pieces of JSON text, not Python's: some of them no serializer would write.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, get_args

from hypothesis import strategies as st
from msgspec import inspect

from rmactors.common import ids, wire

JOBS: Final = tuple(ids.new() for _ in range(12))
"""Jobs that run, of which progress and lines of logs tell. Each report is of a job of its own: one ends only once."""
OF_RUNNING_JOBS: Final = {"job_progress", "job_log"}
NOW: Final = '"2026-11-28T12:00:00Z"'

TEXTS: Final = (
    '""', json.dumps("x" * 5_000), json.dumps("☃" * 2_001), json.dumps("<script>&\"'{{7*7}}" * 40),
    r'"\u0000\u001b[2J\r\n\t\u009b\u202e\ufffe"', r'"half \ud800 and \udfff alone"', json.dumps("\n" * 3_000),
    json.dumps("=cmd|' /C x'!A0"), '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"',
    '"2026-11-28T12:00:00"', json.dumps(JOBS[0] + "\n"), json.dumps(JOBS[0].lower()), '"../../../../etc/passwd"',
)  # fmt: skip
NUMBERS: Final = (
    "0", "-1", "1.5", "1e999", "-1e999", "1e308", "NaN", "Infinity", "9" * 19, "9" * 30, "1" * 401, "-" + "1" * 401,
    "1" * 5_000, "9223372036854775807", "-9223372036854775808",
)  # fmt: skip
OTHERS: Final = (
    "null", "true", "[]", "{}", "[" * 60 + "]" * 60, '{"a":' * 400 + "1" + "}" * 400, "[1,[2,{}]]", '{"min": "x"}',
)  # fmt: skip
ODD: Final = (*TEXTS, *NUMBERS, *OTHERS)
STATS_NAMES: Final = (
    "bytes_total", "total_bytes_processed", "files_new", "files_total", "duration_seconds", "total_duration", "warning",
    "unknown_schedule", "snapshots", "snapshots_count", "added", "removed", "\0", "k" * 300, "<b>", "data_added",
)  # fmt: skip


def plain(kind: inspect.Type) -> str:
    """A value as an honest agent would send it."""
    match kind:
        case inspect.Metadata(type=inner):
            return plain(inner)
        case inspect.UnionType(types=types):
            return plain(types[0])
        case inspect.StructType(fields=fields):
            return _object({field.encode_name: plain(field.type) for field in fields})
        case inspect.ListType(item_type=item):
            return f"[{plain(item)}]"
        case inspect.LiteralType(values=values):
            return json.dumps(values[0])
        case inspect.StrType(pattern=None):
            return '"home"'
        case inspect.StrType():
            return json.dumps(JOBS[0])
        case inspect.IntType() | inspect.FloatType():
            return "1"
        case inspect.DateTimeType():
            return NOW
        case inspect.BoolType():
            return "true"
        case inspect.RawType():
            return '{"files_new": 3, "bytes_total": 18200000000}'
        case _:
            raise AssertionError(f"nothing is known of {kind}")


def frames() -> Iterator[tuple[str, str, dict[str, inspect.Type]]]:
    """(class, tag, types of fields) of each frame that an agent may send."""
    for kind in get_args(wire.FromAgent):
        found = inspect.type_info(kind)
        assert isinstance(found, inspect.StructType)
        yield kind.__name__, str(found.tag), {field.encode_name: field.type for field in found.fields}


def one_odd_field() -> Iterator[str]:
    """Every frame with each of its fields, at any depth, being each odd value once, and everything else honest."""
    number = 0
    for _name, tag, fields in frames():
        for field, kind in fields.items():
            for value in _odd_values(kind):
                number += 1
                job = JOBS[number % len(JOBS)] if tag in OF_RUNNING_JOBS else ids.new()
                whole = {name: plain(each) for name, each in fields.items()}
                whole |= {"seq": str(number)} if "seq" in fields else {}
                whole |= {"job_id": json.dumps(job)} if "job_id" in fields else {}
                whole[field] = value
                if field == "stats" and number % 3 == 0:  # three kinds of job have a place for statistics of their own
                    whole["kind"] = json.dumps(("snapshots", "diff", "backup")[number // 3 % 3])
                yield _object({"type": json.dumps(tag), **whole})


def _odd_values(kind: inspect.Type) -> Iterator[str]:
    yield from ODD
    yield from _odd_inside(kind)


def _odd_inside(kind: inspect.Type) -> Iterator[str]:
    match kind:
        case inspect.Metadata(type=inner):
            yield from _odd_inside(inner)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _odd_inside(each)
        case inspect.StructType(fields=fields):
            whole = {field.encode_name: plain(field.type) for field in fields}
            for field in fields:
                for value in _odd_values(field.type):
                    yield _object({**whole, field.encode_name: value})
        case inspect.ListType(item_type=item):
            few = plain(item)
            yield f"[{','.join([few] * 300)}]"
            for value in _odd_values(item):
                yield f"[{few},{value}]"
        case inspect.LiteralType(values=values):
            for value in values:
                yield json.dumps(value)
        case inspect.RawType():
            for number, name in enumerate(STATS_NAMES):
                for value in ODD[number % 3 :: 3]:
                    yield f"{{{json.dumps(name)}: {value}}}"
            yield _object({f"n{n}": "1" for n in range(200)})
        case _:
            return


def _object(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields.items()) + "}"


odd: st.SearchStrategy[str] = st.sampled_from(ODD) | st.text(max_size=300).map(json.dumps) | st.integers().map(str)


def any_value(kind: inspect.Type) -> st.SearchStrategy[str]:
    """Mostly honest."""
    match kind:
        case inspect.Metadata(type=inner):
            return any_value(inner)
        case inspect.UnionType(types=types):
            return st.one_of(*(any_value(each) for each in types))
        case inspect.StructType(fields=fields):
            made: st.SearchStrategy[str] = st.fixed_dictionaries(
                {field.encode_name: any_value(field.type) for field in fields if field.required},
                optional={field.encode_name: any_value(field.type) for field in fields if not field.required},
            ).map(_object)
        case inspect.ListType(item_type=item):
            made = st.lists(any_value(item), max_size=4).map(lambda items: f"[{','.join(items)}]")
        case inspect.LiteralType(values=values):
            made = st.sampled_from(values).map(json.dumps)
        case inspect.RawType():
            made = st.dictionaries(st.sampled_from(STATS_NAMES), odd, max_size=4).map(_object)
        case inspect.StrType(pattern=str()):
            made = st.sampled_from(JOBS).map(json.dumps)
        case inspect.NoneType():
            return st.just("null")
        case _:
            made = st.just(plain(kind))
    return st.integers(0, 11).flatmap(lambda chance: odd if chance == 0 else made)


def any_frame() -> st.SearchStrategy[str]:
    """A frame with several odd fields."""
    kinds: list[st.SearchStrategy[str]] = []
    for _name, tag, fields in frames():
        values: dict[str, Any] = {"type": st.just(json.dumps(tag))}
        values |= {name: any_value(kind) for name, kind in fields.items()}
        if "job_id" in fields and tag not in OF_RUNNING_JOBS:
            values["job_id"] = st.builds(ids.new).map(json.dumps)
        kinds.append(st.fixed_dictionaries(values).map(_object))
    return st.one_of(*kinds)
