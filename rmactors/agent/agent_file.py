"""`agent.toml`: what this host backs up, where to, and what the server may start here.

Owns the file's form and its errors. The one place that knows where passwords are; it never holds one.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from rmactors.agent.client_certificate import ClientCertificate, of_files
from rmactors.agent.masking import shown
from rmactors.agent.tampering import trouble_with
from rmactors.common import wire
from rmactors.common.subset import MOST_PARTS
from rmactors.common.text import steers
from rmactors.common.vocabulary import ALLOWED, Allowed

DEFAULT_FILE: Final = "/etc/rmactors/agent.toml"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_BACKEND: Final = re.compile(r"[a-z0-9]+:")
"""As in `sftp:`; anything else is a path to restic."""

MOST_TARGETS: Final = 50
"""As many as a hello tells the server."""
LONGEST_TARGET: Final = 4096
PLAN_TAG: Final = "rmactors-plan:"
"""What the tag begins with that the agent puts on each plan's snapshots. See own_snapshots."""

Command = Annotated[list[str], Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
S = TypeVar("S")
Seconds = Annotated[float, Meta(ge=0, le=31 * 86400)]


class AgentFileError(Exception):
    """The agent's file cannot be used. The message names file and key, and says what is expected."""


class Keep(Struct, frozen=True, forbid_unknown_fields=True):
    """Retention: how many of each to keep. `within` is restic's duration, like `2y5m7d`."""

    last: Count = 0
    hourly: Count = 0
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    yearly: Count = 0
    within: Annotated[str, Meta(pattern=r"\A(\d+[hdmy])+\Z")] | None = None


class Hooks(Struct, frozen=True, forbid_unknown_fields=True):
    """Commands around a backup, each with its arguments. A failing `before` fails the job; `after` always runs."""

    before: Command | None = None
    after: Command | None = None
    timeout_seconds: Seconds = 600.0


class Repository(Struct, frozen=True, forbid_unknown_fields=True):
    """Where snapshots go, and where its password comes from: one of the two, or in the environment file."""

    repository: Annotated[str, Meta(min_length=1)]
    password_file: str | None = None
    password_command: str | None = None
    environment_file: str | None = None
    """Lines `NAME=value`, as systemd reads them: backend credentials, `RESTIC_PASSWORD`."""
    cache_dir: str | None = None
    limit_upload: Annotated[int, Meta(gt=0)] | None = None
    limit_download: Annotated[int, Meta(gt=0)] | None = None
    """KiB/s."""
    options: list[str] = []
    """restic's extended options (`-o`), like `sftp.connections=2`."""
    restore_to: str | None = None
    """The folder under which restores land that name no target, each in one of its own."""
    snapshots_of_other_hosts: bool = False
    """Whether a restore or a diff may name a snapshot that another host made."""

    @property
    def folder(self) -> str | None:
        """Where it lies, where that is on this machine."""
        path = self.repository.removeprefix("local:")
        return None if _BACKEND.match(path) else path

    @property
    def place(self) -> str:
        """The same for the same repository, however its folder is written."""
        return self.repository if self.folder is None else os.path.normpath(self.folder)


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """What is backed up together."""

    repository: str
    sources: list[str] = []
    exclude: list[str] = []
    exclude_file: str | None = None
    one_file_system: bool = False
    exclude_caches: bool = False
    tags: list[Annotated[str, Meta(min_length=1, pattern=r"\A[^,]+\Z")]] = []
    keep: Keep | None = None
    prune_after_forget: bool = False
    check_parts: Annotated[int, Meta(ge=1, le=MOST_PARTS)] | None = None
    """Each check also reads one of this many parts of the data, in turn."""
    hooks: Hooks = Hooks()


class AgentFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Durations are seconds."""

    allow: list[Allowed] = field(default_factory=lambda: ["backup", "check"])
    repositories: dict[str, Repository] = {}
    plans: dict[str, Plan] = {}
    restic: str = "restic"
    host: str | None = None
    """The host name under which snapshots are filed; the system's own where None."""
    jitter_seconds: Seconds = 15.0
    """Runs of schedules start up to this much later, each schedule always by the same."""
    lock_wait_seconds: Seconds = 600.0
    """How long a job waits for a repository that another restic has locked."""
    cancel_grace_seconds: Seconds = 30.0
    """What restic is given to end by itself, after which it is ended."""
    restore_test_dir: str | None = None
    """Where restore tests put what they restore, for as long as they run; the agent's state dir where None."""
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    """The certificate that a server is shown which asks for one, in place of the one that was given at enrollment."""
    restore_targets: Annotated[list[str], Meta(max_length=MOST_TARGETS)] = []
    """Folders into which a restore may be told to go, or into one below them."""

    @property
    def certificate(self) -> ClientCertificate | None:
        return of_files(self.tls_cert_file, self.tls_key_file)

    def wire_plans(self) -> list[wire.Plan]:
        """The plans as the server is told of them: no password, no excludes."""
        return [
            wire.Plan(name=name, repository=shown(self.repositories[plan.repository].repository), sources=plan.sources)
            for name, plan in self.plans.items()
        ]


def default_file(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get("RM_AGENT_CONFIG") or DEFAULT_FILE)


def load(file: Path) -> AgentFile:
    """The agent's file. Raises AgentFileError, also if somebody else could have written what stands in it."""
    if trouble := trouble_with(file):
        raise AgentFileError(trouble)
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise AgentFileError(f"cannot read {file}: {words}") from None
    try:
        return parse(text)
    except AgentFileError as error:
        raise AgentFileError(f"{file}: {error}") from None


def load_or_empty(file: Path, *, asked_for: bool) -> AgentFile:
    """As `load`; an empty one where the file is not there and nobody named it: such a host only wraps commands."""
    try:
        is_there = file.exists()
    except OSError as error:  # a folder on the way that this user may not enter
        raise AgentFileError(f"cannot read {file}: {error.strerror}") from None
    return AgentFile(allow=[]) if not asked_for and not is_there else load(file)


def certificate_in_default_file() -> ClientCertificate | None:
    """For who runs nothing of it; None if it cannot be used, or names none."""
    try:
        return load_or_empty(default_file(), asked_for=False).certificate
    except AgentFileError:
        return None


def parse(text: str) -> AgentFile:
    """The text of an agent's file as a value. Raises AgentFileError naming the key."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AgentFileError(f"this is not TOML: {error}") from None
    # Table by table first: msgspec does not say which one of several it means.
    for where, form in (("repositories", Repository), ("plans", Plan)):
        tables = found.get(where)
        for name, table in tables.items() if isinstance(tables, dict) else ():
            _convert(table, form, f"{where}.{name}")
    agent_file = _convert(found, AgentFile, "")
    _check(agent_file)
    return agent_file


def environment_of(file: str) -> dict[str, str]:
    """The variables of an environment file. Raises AgentFileError."""
    try:
        text = Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise AgentFileError(f"cannot read the environment file {file}: {words}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip().removeprefix("export ").strip()
        if not line or line[0] in "#;":
            continue
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.strip()):
            raise AgentFileError(f"{file}, line {number}: expected NAME=value")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name.strip()] = value
    return found


def _check(agent_file: AgentFile) -> None:
    """What the types do not say. Raises AgentFileError."""
    for problem in _problems(agent_file):
        raise AgentFileError(problem)


def _problems(agent_file: AgentFile) -> Iterator[str]:
    """Each names its key."""
    if agent_file.tls_key_file is not None and agent_file.tls_cert_file is None:
        yield "tls_key_file: give tls_cert_file too"
    yield from _relative("", {key: getattr(agent_file, key) for key in ("tls_cert_file", "tls_key_file")})
    for folder in agent_file.restore_targets:
        if wrong := _no_target(folder):
            yield f"restore_targets: {folder!r} {wrong}"
    yield from _relative("", {"restore_test_dir": agent_file.restore_test_dir})
    for table in ("repositories", "plans"):
        for name in getattr(agent_file, table):
            if not _NAME.fullmatch(name):
                yield f"{table}: {name!r} must be letters, digits, `.`, `_` and `-`"
    for name, repository in agent_file.repositories.items():
        yield from _of_repository(f"repositories.{name}", repository)
    for name, plan in agent_file.plans.items():
        yield from _of_plan(f"plans.{name}", plan, agent_file.repositories)


def _no_target(folder: str) -> str | None:
    """Why no restore can be told to go there, as the rest of a sentence."""
    if not os.path.isabs(folder):
        return "must be an absolute path"
    if steers(folder) or len(folder) > LONGEST_TARGET:
        return f"must be one line of at most {LONGEST_TARGET} characters, without control characters"
    if ".." in folder.split("/"):
        return "must not contain `..`"
    return "is the whole system: name a folder for restores alone" if not folder.strip("/.") else None


def _of_repository(key: str, repository: Repository) -> Iterator[str]:
    if repository.password_file and repository.password_command:
        yield f"{key}: give password_file or password_command, not both"
    if not (repository.password_file or repository.password_command or repository.environment_file):
        yield f"{key}: needs password_file, password_command or environment_file"
    if repository.folder is not None and not os.path.isabs(repository.folder):
        words = "must be an absolute path, or begin with a backend like `sftp:`"
        yield f"{key}.repository: {shown(repository.repository)!r} {words}"
    places = ("password_file", "environment_file", "cache_dir", "restore_to")
    yield from _relative(f"{key}.", {place: getattr(repository, place) for place in places})


def _of_plan(key: str, plan: Plan, repositories: Iterable[str]) -> Iterator[str]:
    if plan.repository not in repositories:
        near = difflib.get_close_matches(plan.repository, repositories, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield f"{key}.repository: there is no [repositories.{plan.repository}]{hint}"
    for source in plan.sources:
        yield from _relative(f"{key}.", {"sources": source})
    yield from _relative(f"{key}.", {"exclude_file": plan.exclude_file})
    if reserved := next((tag for tag in plan.tags if tag.startswith(PLAN_TAG)), None):
        yield f"{key}.tags: {reserved!r}: the agent itself gives out tags that begin with {PLAN_TAG!r}"
    if plan.keep is not None and (plan.keep == Keep() or plan.keep == Keep(within=_nothing(plan.keep.within))):
        yield f"{key}.keep: keeps nothing; give at least one of {', '.join(Keep.__struct_fields__)}"
    for hook in filter(None, (plan.hooks.before, plan.hooks.after)):
        yield from _relative(f"{key}.", {"hooks": hook[0]})


def _relative(prefix: str, paths: Mapping[str, str | None]) -> Iterator[str]:
    """Of paths by key, those that are not absolute."""
    for key, path in paths.items():
        if path is not None and not os.path.isabs(path):
            yield f"{prefix}{key}: {path!r} must be an absolute path"


def _nothing(within: str | None) -> str | None:
    """The same, where it is a duration of nothing, like `0d`."""
    return within if within is not None and not within.strip("0hdmy") else None


_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<field>.+?)`(?: - at `\$\.?(?P<path>.*)`)?\Z")
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?\Z", re.DOTALL)


def _convert(found: object, form: type[S], at: str) -> S:
    """`found`, which stands at the key `at`, as a value. Raises AgentFileError."""
    try:
        return msgspec.convert(found, form)
    except msgspec.ValidationError as error:
        raise AgentFileError(_in_words(str(error), at)) from None


def _in_words(error: str, at: str) -> str:
    """msgspec's message with the key first, spelled as in the file."""
    if unknown := _UNKNOWN.search(error):
        path = ".".join(filter(None, [at, unknown["path"]]))
        known = _fields_at(path)
        near = difflib.get_close_matches(unknown["field"], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
        return f"unknown key {'.'.join(filter(None, [path, unknown['field']]))!r}{hint}"
    found = _AT.match(error)
    assert found is not None
    what, path = found["what"], ".".join(filter(None, [at, found["path"]]))
    if what.startswith("Invalid enum value"):
        what = f"must be some of {', '.join(ALLOWED)}"
    what = what.replace("Object missing required field", "misses").replace("`null`", "nothing")
    return f"{path or 'the file'}: {what[:1].lower()}{what[1:]}"


def _fields_at(path: str) -> tuple[str, ...]:
    if path.endswith(".keep"):
        return Keep.__struct_fields__
    if path.endswith(".hooks"):
        return Hooks.__struct_fields__
    if path.startswith("repositories"):
        return Repository.__struct_fields__
    if path.startswith("plans"):
        return Plan.__struct_fields__
    return AgentFile.__struct_fields__
