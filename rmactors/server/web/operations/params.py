"""The parameters of a job, kind by kind: what the agent would refuse later is refused here, with its place. Pure.

The agent has the last word (`agent/job_spec.py`): it knows its file, and may know more kinds of parameters or fewer.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from rmactors.common.subset import check_subset
from rmactors.common.text import steers
from rmactors.common.vocabulary import JobKind
from rmactors.server.channels.base import FieldError
from rmactors.server.web.what_was_sent import json_list

Check = Callable[[Any], str | None]
"""What is wrong with a value, as the rest of a sentence; None where nothing is."""

MOST_PATHS: Final = 100
LONGEST_PATH: Final = 4096
_HALF: Final = re.compile("[\ud800-\udfff]")
"""Half of a pair of UTF-16, which JSON can say, and no text is."""
_SNAPSHOT: Final = re.compile(r"[0-9a-f]{4,64}")


def _subset_problem(value: Any) -> str | None:
    try:
        check_subset(value)
    except ValueError as error:
        return str(error)
    return None


def _plan_problem(value: Any) -> str | None:
    return None if isinstance(value, str) and not steers(value) else "must be the name of a plan"


def _repository_problem(value: Any) -> str | None:
    return None if isinstance(value, str) and not steers(value) else "must be the name of a repository"


def _flag_problem(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _id_problem(value: Any) -> str | None:
    if isinstance(value, str) and _SNAPSHOT.fullmatch(value):
        return None
    return "must be a snapshot's id: 4 to 64 of the characters 0-9 and a-f"


def _snapshot_problem(value: Any) -> str | None:
    return None if value == "latest" or _id_problem(value) is None else "must be latest, or a snapshot's id"


def _include_problem(value: Any) -> str | None:
    """A path in a snapshot: a name in it may hold any character, a line end too."""
    if not isinstance(value, str) or not value.startswith("/"):
        return "must be an absolute path"
    if len(value) > LONGEST_PATH:
        return f"must have at most {LONGEST_PATH} characters"
    if "\0" in value or _HALF.search(value):
        return "must not contain NUL, or half of a character"
    return None


def _target_problem(value: Any) -> str | None:
    """A folder on the host."""
    if not isinstance(value, str) or not value.startswith("/"):
        return "must be an absolute path"
    if len(value) > LONGEST_PATH:
        return f"must have at most {LONGEST_PATH} characters"
    if ".." in value.split("/"):
        return "must not contain `..`"
    return "must not contain control characters" if steers(value) else None


def _paths_problem(value: Any) -> str | None:
    if not isinstance(value, list):
        return "must be a list of absolute paths"
    if len(value) > MOST_PATHS:
        return f"must have at most {MOST_PATHS} entries"
    return next((f"entry {n}: {wrong}" for n, path in enumerate(value, 1) if (wrong := _include_problem(path))), None)


def _files_problem(value: Any) -> str | None:
    return None if type(value) is int and 1 <= value <= 1000 else "must be a whole number from 1 to 1000"


def _bytes_problem(value: Any) -> str | None:
    return None if type(value) is int and 1 <= value <= 1 << 50 else "must be a whole number of bytes, at least 1"


_ON_PLAN: Final[Mapping[str, Check]] = {"plan": _plan_problem}
_ON_REPOSITORY: Final[Mapping[str, Check]] = {"plan": _plan_problem, "repository": _repository_problem}
_TAKES: Final[Mapping[JobKind, Mapping[str, Check]]] = {
    "backup": _ON_PLAN,
    "forget": {**_ON_PLAN, "prune": _flag_problem},
    "check": {**_ON_REPOSITORY, "read_data": _flag_problem, "read_data_subset": _subset_problem},
    "restore": {**_ON_PLAN, "snapshot": _snapshot_problem, "include": _paths_problem, "target": _target_problem},
    "diff": {**_ON_PLAN, "from": _id_problem, "to": _id_problem},
    "prune": _ON_REPOSITORY, "init": _ON_REPOSITORY, "unlock": _ON_REPOSITORY, "snapshots": _ON_REPOSITORY,
    "restore_test": {**_ON_PLAN, "sample_files": _files_problem, "sample_bytes": _bytes_problem},
}  # fmt: skip
_NEVER_NULL: Final = {"snapshot", "include", "from", "to", "read_data"}
_REQUIRED: Final[Mapping[JobKind, tuple[str, ...]]] = {"diff": ("from", "to")}
_NOT_BOTH: Final = (("plan", "repository"), ("read_data", "read_data_subset"))


def problems(kind: JobKind, params: Mapping[str, Any]) -> list[FieldError]:
    """Every parameter at fault; pointers begin with `/params`."""
    takes = _TAKES.get(kind, {})
    found = []
    for name, value in params.items():
        pointer = f"/params/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in takes:
            found.append(FieldError(pointer, f"is no parameter of {kind}; it takes {', '.join(takes)}"))
        elif (value is not None or name in _NEVER_NULL) and (wrong := takes[name](value)):
            found.append(FieldError(pointer, wrong))
    found += [FieldError(f"/params/{name}", "is required") for name in _REQUIRED.get(kind, ()) if name not in params]
    for one, other in _NOT_BOTH:
        if one in takes and other in takes and params.get(one) and params.get(other):
            found.append(FieldError(f"/params/{other}", f"cannot be given together with {one}"))
    return found


def plan_missing(params: Mapping[str, Any], plans: Collection[str]) -> FieldError | None:
    """On a host with several plans the job has to name one; `plans` are those that it said it has."""
    if len(plans) < 2 or params.get("plan") is not None or params.get("repository") is not None:
        return None
    *others, last = plans
    return FieldError("/params/plan", f"Choose a plan: this host has {', '.join(others)} and {last}")


def plan_unknown(params: Mapping[str, Any], plans: Collection[str]) -> FieldError | None:
    """The job names a plan that the host did not say it has; of a host that said none, nobody knows."""
    plan = params.get("plan")
    if not plans or plan is None or plan in plans:
        return None
    return FieldError("/params/plan", f"There is no plan {plan!r} on this host: it has {', '.join(plans)}")


def plan_names(plans: str) -> tuple[str, ...]:
    """Names of the plans that a host said it has. `plans` is its JSON list as text."""
    return tuple(str(plan["name"]) for plan in json_list(plans) if isinstance(plan, dict) and plan.get("name"))
