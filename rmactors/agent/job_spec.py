"""From what the server asks to what restic is told: kinds, validated parameters, and the arguments they become.

Pure but for the agent's file that it is handed. Everything here is a list of fixed words, values from the agent's
own file, and a few parameters of the server's that are checked by pattern: nothing of the server's reaches a shell,
names a repository's password or a place to write to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, TypeVar, assert_never

import msgspec
from msgspec import Meta, Struct, field

from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.agent.own_snapshots import Identity, identity_of
from rmactors.agent.restore_patterns import included
from rmactors.agent.restore_targets import Target, TargetRefused, target_of
from rmactors.common.subset import check_subset
from rmactors.common.text import excerpt
from rmactors.common.vocabulary import JobKind

Snapshot = Annotated[str, Meta(pattern=r"\A(latest|[0-9a-f]{4,64})\Z")]
SnapshotId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{4,64}\Z")]
InsidePath = Annotated[str, Meta(pattern=r"\A/[^\x00\ud800-\udfff]*\Z", max_length=4096)]
"""Any path that a snapshot can have in it: a name may hold a line end, or a character that a terminal obeys."""
Named = Annotated[str, Meta(max_length=200)]
SNAPSHOTS_LISTED: Final = 50
_LONGEST_REFUSAL: Final = 500


class JobRefused(Exception):
    """This host does not do that. The message says what would have to change, in one plain line."""

    def __init__(self, words: str) -> None:
        super().__init__(excerpt(words, _LONGEST_REFUSAL))


class _OnPlan(Struct, frozen=True, forbid_unknown_fields=True):
    plan: Named | None = None


class _OnRepository(Struct, frozen=True, forbid_unknown_fields=True):
    plan: Named | None = None
    repository: Named | None = None


class _Forget(Struct, frozen=True, forbid_unknown_fields=True):
    plan: Named | None = None
    prune: bool | None = None


class _Check(Struct, frozen=True, forbid_unknown_fields=True):
    plan: Named | None = None
    repository: Named | None = None
    read_data: bool = False
    read_data_subset: Named | None = None


class _Restore(Struct, frozen=True, forbid_unknown_fields=True):
    plan: Named | None = None
    snapshot: Snapshot = "latest"
    include: Annotated[list[InsidePath], Meta(max_length=100)] = []
    target: str | None = None


class _RestoreTest(Struct, frozen=True, forbid_unknown_fields=True):
    plan: Named | None = None
    sample_files: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    sample_bytes: Annotated[int, Meta(ge=1, le=1 << 50)] | None = None


class _Diff(Struct, frozen=True, forbid_unknown_fields=True):
    older: SnapshotId = field(name="from")
    newer: SnapshotId = field(name="to")
    plan: Named | None = None


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Of a restore test: at most so many files, and so many bytes of them together."""

    files: int = 20
    bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What to do, ready to run.

    `arguments` follow `restic`. `plan` and `identity` are None if only a repository was named. `target` is where a
    restore goes; `snapshot` (an id or `latest`) and `include` are what it puts there. `compared` are
    ids of snapshots that follow the arguments, once restic has said whose they are. `host` is this host's name there.
    `prune_after` says that forget is to prune what it left. `rotation` names the counter and the number of parts of a
    check that reads the data in turn.
    """

    kind: JobKind
    plan_name: str | None
    repository_name: str
    repository: Repository
    arguments: tuple[str, ...]
    sources: tuple[str, ...] = ()
    plan: Plan | None = None
    identity: Identity | None = None
    target: Target | None = None
    snapshot: str = "latest"
    include: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    host: str = ""
    prune_after: bool = False
    rotation: tuple[str, int] | None = None
    sample: SampleSize = SampleSize()


P = TypeVar("P", bound=Struct)


def spec_for(agent_file: AgentFile, kind: JobKind, params: Mapping[str, Any], job_id: str, hostname: str) -> JobSpec:
    """What this request means on this host. Raises JobRefused."""
    if kind not in agent_file.allow:
        allowed = ", ".join(agent_file.allow) or "nothing"
        raise JobRefused(f"{kind} is not allowed on this host: its agent.toml allows {allowed}")
    host = agent_file.host or hostname
    match kind:
        case "backup":
            return _backup(agent_file, _read(_OnPlan, params), host)
        case "forget":
            return _forget(agent_file, _read(_Forget, params), host)
        case "check":
            return _check(agent_file, _read(_Check, params))
        case "restore":
            return _restore(agent_file, _read(_Restore, params), job_id, host)
        case "diff":
            request = _read(_Diff, params)
            spec = _on_plan(agent_file, kind, request.plan, ("diff", "--json", "--no-lock"))
            return replace(spec, compared=(request.older, request.newer), host=host)
        case "snapshots":
            named = _read(_OnRepository, params)
            listed = ("snapshots", "--json", "--no-lock", "--latest", str(SNAPSHOTS_LISTED))
            spec = _on_repository(agent_file, kind, named.plan, named.repository, listed)
            return replace(spec, identity=identity_of(agent_file, spec.plan_name, host) if spec.plan_name else None)
        case "init" | "unlock" | "prune":
            named = _read(_OnRepository, params)
            arguments = ("init", "--json") if kind == "init" else (kind,)
            return _on_repository(agent_file, kind, named.plan, named.repository, arguments)
        case "restore_test":
            return _restore_test(agent_file, _read(_RestoreTest, params), host)
        case _:
            assert_never(kind)


def _backup(agent_file: AgentFile, request: _OnPlan, host: str) -> JobSpec:
    name, plan = _plan(agent_file, request.plan)
    if not plan.sources:
        raise JobRefused(f"plan {name!r} has no sources")
    flags = ["backup", "--json", "--host", host]
    flags += [f"--exclude={pattern}" for pattern in plan.exclude]
    flags += [f"--exclude-file={plan.exclude_file}"] if plan.exclude_file else []
    flags += ["--one-file-system"] if plan.one_file_system else []
    flags += ["--exclude-caches"] if plan.exclude_caches else []
    identity = identity_of(agent_file, name, host)
    flags += [f"--tag={tag}" for tag in (identity.tag, *plan.tags)]
    return JobSpec(
        "backup", name, plan.repository, agent_file.repositories[plan.repository],
        (*flags, "--", *plan.sources), sources=tuple(plan.sources), plan=plan,
        identity=identity,
    )  # fmt: skip


def _forget(agent_file: AgentFile, request: _Forget, host: str) -> JobSpec:
    name, plan = _plan(agent_file, request.plan)
    if plan.keep is None:
        raise JobRefused(f"plan {name!r} has no `keep` in agent.toml: forget would not know what to keep")
    if not plan.sources:
        raise JobRefused(f"plan {name!r} has no sources: forget would not know which snapshots are its own")
    identity = identity_of(agent_file, name, host)
    # One group of all that is the plan's: by restic's own grouping the snapshots of former sources would never go.
    flags = ["forget", "--json", *identity.selection, "--group-by", ""]
    for unit in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        if count := getattr(plan.keep, unit):
            flags += [f"--keep-{unit}", str(count)]
    flags += ["--keep-within", plan.keep.within] if plan.keep.within else []
    prune = plan.prune_after_forget if request.prune is None else request.prune
    if prune and "prune" not in agent_file.allow:
        raise JobRefused("prune is not allowed on this host")
    return JobSpec(
        "forget", name, plan.repository, agent_file.repositories[plan.repository], tuple(flags), plan=plan,
        identity=identity, prune_after=prune,
    )  # fmt: skip


def _check(agent_file: AgentFile, request: _Check) -> JobSpec:
    flags = ["check"]  # no --json: with it, 0.17 and later show neither where they are nor what they do
    if request.read_data and request.read_data_subset:
        raise JobRefused("params: give read_data or read_data_subset, not both")
    if request.read_data:
        flags.append("--read-data")
    if request.read_data_subset is not None:
        try:
            check_subset(request.read_data_subset)
        except ValueError as error:
            raise JobRefused(f"params.read_data_subset: {request.read_data_subset[:20]!r} {error}") from None
        flags.append(f"--read-data-subset={request.read_data_subset}")
    spec = _on_repository(agent_file, "check", request.plan, request.repository, tuple(flags))
    if len(flags) == 1 and spec.plan is not None and spec.plan.check_parts:
        return replace(spec, rotation=(f"check:{spec.repository_name}", spec.plan.check_parts))
    return spec


def _restore(agent_file: AgentFile, request: _Restore, job_id: str, host: str) -> JobSpec:
    name, plan = _plan(agent_file, request.plan)
    try:
        target = target_of(agent_file, plan.repository, request.target, job_id)
    except TargetRefused as refused:
        raise JobRefused(str(refused)) from None
    return JobSpec(
        "restore", name, plan.repository, agent_file.repositories[plan.repository],
        ("restore", "--json", "--no-lock", *included(request.include)), plan=plan,
        identity=identity_of(agent_file, name, host), target=target, snapshot=request.snapshot,
        include=tuple(request.include), host=host,
    )  # fmt: skip


def _restore_test(agent_file: AgentFile, request: _RestoreTest, host: str) -> JobSpec:
    spec = _on_plan(agent_file, "restore_test", request.plan, ())
    assert spec.plan_name is not None
    usual = SampleSize()
    sample = SampleSize(request.sample_files or usual.files, request.sample_bytes or usual.bytes)
    return replace(spec, identity=identity_of(agent_file, spec.plan_name, host), sample=sample)


def _on_plan(agent_file: AgentFile, kind: JobKind, named: str | None, arguments: tuple[str, ...]) -> JobSpec:
    name, plan = _plan(agent_file, named)
    return JobSpec(kind, name, plan.repository, agent_file.repositories[plan.repository], arguments, plan=plan)


def _on_repository(
    agent_file: AgentFile, kind: JobKind, plan_name: str | None, repository_name: str | None, arguments: tuple[str, ...]
) -> JobSpec:
    """By the repository's own name, or by that of a plan, or the only one there is."""
    if repository_name is None and plan_name is None and not agent_file.plans and len(agent_file.repositories) == 1:
        (repository_name,) = agent_file.repositories
    if repository_name is None:
        return _on_plan(agent_file, kind, plan_name, arguments)
    if plan_name is not None:
        raise JobRefused("params: give plan or repository, not both")
    if repository_name not in agent_file.repositories:
        raise JobRefused(f"there is no repository {_quoted(repository_name)} in agent.toml")
    return JobSpec(kind, None, repository_name, agent_file.repositories[repository_name], arguments)


def _plan(agent_file: AgentFile, name: str | None) -> tuple[str, Plan]:
    if name is None:
        if len(agent_file.plans) != 1:
            *others, last = agent_file.plans or [""]
            if not others:
                raise JobRefused("agent.toml has no plan")
            raise JobRefused(f"no plan was given: this host has {', '.join(others)} and {last}")
        (name,) = agent_file.plans
    if name not in agent_file.plans:
        known = ", ".join(agent_file.plans) or "none"
        raise JobRefused(f"there is no plan {_quoted(name)} in agent.toml; its plans: {known}")
    return name, agent_file.plans[name]


def _quoted(name: str) -> str:
    return repr(name[:100])


def _read(form: type[P], params: Mapping[str, Any]) -> P:
    try:
        return msgspec.convert(dict(params), form)
    except msgspec.ValidationError as error:
        words = str(error).replace("Object contains unknown field", "this kind of job has no parameter")
        words = words.replace("Object missing required field", "missing").replace("$.", "")
        raise JobRefused(f"params: {words}") from None
