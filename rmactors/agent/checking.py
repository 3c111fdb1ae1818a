"""`rmactors agent check`: tries what the agent will need, and says what it found. Changes nothing anywhere."""

import os
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import trio

from rmactors.agent import introduction, process, programs, this_host
from rmactors.agent.agent_file import AgentFile, AgentFileError, Plan, Repository, load_or_empty
from rmactors.agent.connection import LinkDown, Timings, dial
from rmactors.agent.disk_trouble import Cause, of_errno, probe
from rmactors.agent.environment import environment_for, has_cache
from rmactors.agent.masking import Mask
from rmactors.agent.process import Stop
from rmactors.agent.restic_output import OutputParser, Stream
from rmactors.agent.restore_folder import clash, distrusted
from rmactors.agent.restore_targets import target_in
from rmactors.agent.server_link import welcomed
from rmactors.agent.state_dir import StateDir, StateError
from rmactors.agent.verdict import OutputSummary, cause_of, judge
from rmactors.common import wire, zones
from rmactors.common.findings import Finding, zone_data
from rmactors.common.sizes import size

REPOSITORY_SECONDS: Final = 120.0
_GRACE_SECONDS: Final = 10.0


async def check(
    file: Path, state_dir: Path, *, asked_for: bool, timings: Timings | None = None
) -> AsyncIterator[Finding]:
    """Everything, one finding at a time, as it is found."""
    try:
        agent_file = load_or_empty(file, asked_for=asked_for)
    except AgentFileError as error:
        yield Finding(False, str(error))
        agent_file = None
    if agent_file is not None:
        yield _of_file(file, agent_file)
        if looking := _looking(agent_file):
            yield looking
        troubles = programs.troubles_of(agent_file)
        for words in troubles:
            yield Finding(False, words)
        version = None
        if not troubles:  # else nothing is run
            restic = await trio.to_thread.run_sync(this_host.look_at_restic, agent_file.restic)
            version = restic.version
            if restic.problem is not None:
                yield Finding(False if agent_file.plans else None, restic.problem)
            else:
                yield Finding(True, f"{agent_file.restic} is version {version}")
        for name, repository in agent_file.repositories.items():
            for finding in [*_secrets(name, repository), *_places(name, repository, agent_file)]:
                yield finding
            if version is not None:
                yield await _repository(name, repository, agent_file, str(state_dir / "cache"))
        for name, plan in agent_file.plans.items():
            yield await trio.to_thread.run_sync(_plan, name, plan, agent_file)
        for folder in agent_file.restore_targets:
            yield await trio.to_thread.run_sync(_restore_target, folder, agent_file)
        if agent_file.restore_test_dir is not None:
            yield await trio.to_thread.run_sync(_restore_test_dir, agent_file.restore_test_dir, agent_file)
    yield zone_data(zones.ours().data)
    cause = await trio.to_thread.run_sync(_no_room_for_reports, StateDir(state_dir))
    if cause is not None:
        yield Finding(False, f"reports cannot be kept: {cause.words}; {cause.advice}")
    yield await _server(StateDir(state_dir), agent_file, cause, timings or Timings())


def _of_file(file: Path, agent_file: AgentFile) -> Finding:
    if not file.exists():
        return Finding(None, f"there is no {file}: this host runs nothing by itself and only reports what `exec` wraps")
    allowed = ", ".join(kind for kind in agent_file.allow if kind != "browse") or "nothing"
    return Finding(True, f"{file} is well-formed; the server may start here: {allowed}")


def _looking(agent_file: AgentFile) -> Finding | None:
    """What `browse` in `allow` means on this host."""
    if "browse" not in agent_file.allow:
        return None
    if not agent_file.plans:
        return Finding(None, "`allow` has browse, but there are no plans: the server finds nothing to look into")
    shared = [name for name, repository in agent_file.repositories.items() if repository.snapshots_of_other_hosts]
    whose = f", and of other hosts in {', '.join(shared)}" if shared else ""
    words = "the server may look into snapshots of this host"
    return Finding(None, f"{words}{whose}: names, sizes and times of files, and what changed, but not what is in them")


def _secrets(name: str, repository: Repository) -> list[Finding]:
    found = []
    for path in filter(None, (repository.password_file, repository.environment_file)):
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            found.append(Finding(False, f"repository {name}: cannot read {path}: {error.strerror}"))
            continue
        if mode & (stat.S_IRWXO | stat.S_IWGRP):
            found.append(Finding(False, f"repository {name}: other users can get at {path}: chmod 600 {path}"))
    return found


def _places(name: str, repository: Repository, agent_file: AgentFile) -> list[Finding]:
    """Folders that jobs will write to: the service that `agent install` sets up cannot make them."""
    into = repository.restore_to
    if "restore" in agent_file.allow and into and not os.path.isdir(into):
        return [Finding(None, f"repository {name}: {into} is not there yet: make it before the first restore")]
    if "restore" in agent_file.allow and into and (trouble := distrusted(into, "restore_to")):
        return [Finding(False, f"repository {name}: {trouble}")]
    return []


def _restore_target(folder: str, agent_file: AgentFile) -> Finding:
    """Whether a restore could go there now."""
    target = target_in(agent_file, folder)
    if "restore" not in agent_file.allow:
        return Finding(None, f"restore_targets: {folder} is of no use as long as `allow` does not list restore")
    if trouble := clash(target):
        return Finding(False, f"restore_targets: {trouble}")
    if not os.path.lexists(folder):
        return Finding(None, f"restore_targets: {folder} is not there yet: make it before the first restore")
    if not os.path.isdir(folder):
        return Finding(False, f"restore_targets: {folder} is no folder")
    return _writable(folder, "restore_targets", "restores may go into")


def _restore_test_dir(folder: str, agent_file: AgentFile) -> Finding:
    """Whether a restore test could use it now."""
    if "restore_test" not in agent_file.allow:
        return Finding(None, f"restore_test_dir: {folder} is of no use as long as `allow` does not list restore_test")
    if not os.path.isdir(folder):
        return Finding(False, f"restore_test_dir: {folder} is no folder, or not there: make it, or name another")
    return _writable(folder, "restore_test_dir", "restore tests use")


def _writable(folder: str, key: str, good: str) -> Finding:
    """Whether this user alone can write into a folder that is there. `key` is where agent.toml names it, `good` begins
    the sentence when all is well."""
    if trouble := distrusted(folder, key):
        return Finding(False, trouble)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(False, f"{key}: this user cannot write into {folder}")
    return Finding(True, f"{good} {folder}; {size(shutil.disk_usage(folder).free)} are free there")


async def _repository(name: str, repository: Repository, agent_file: AgentFile, spare_cache: str) -> Finding:
    """Open it with its password, without a lock. A backend that does not answer is told at once: restic would try for
    a quarter of an hour."""
    summary, stop, mask = OutputSummary(speaks_restic=True), Stop(REPOSITORY_SECONDS), Mask(repository.repository)
    parsers = {"stdout": OutputParser("stdout"), "stderr": OutputParser("stderr")}

    def on_output(stream: Stream, data: bytes) -> None:
        for item in parsers[stream].feed(data):
            summary.take(item)
        if summary.cause is not None:
            stop.ask("cancelled")

    try:
        environment = environment_for(repository, os.environ, spare_cache)
        flags = ["-o" + option for option in repository.options]
        flags += [] if has_cache(environment) else ["--no-cache"]
        command = [agent_file.restic, *flags, "--no-lock", "cat", "config"]
        code = await process.run(command, environment, on_output, stop, _GRACE_SECONDS)
    except (AgentFileError, OSError) as error:
        return Finding(False, f"repository {name}: {error}")
    for parser in parsers.values():
        for item in parser.finish():
            summary.take(item)
    if code != 0 and (cause := cause_of(summary)) is not None:
        return Finding(False, f"repository {name}: {mask(cause)}")
    verdict = judge("snapshots", code, summary, stopped=stop.reason, seconds=REPOSITORY_SECONDS)
    if verdict.status == "succeeded":
        return Finding(True, f"repository {name} opens with its password")
    return Finding(False, f"repository {name}: {mask(verdict.error or '')}")


def _plan(name: str, plan: Plan, agent_file: AgentFile) -> Finding:
    missing = [source for source in plan.sources if not os.path.lexists(source)]
    if missing:
        return Finding(False, f"plan {name}: {', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist")
    if plan.exclude_file and not os.access(plan.exclude_file, os.R_OK):
        return Finding(False, f"plan {name}: the exclude_file {plan.exclude_file} cannot be read")
    for hook in filter(None, (plan.hooks.before, plan.hooks.after)):
        if not os.access(hook[0], os.X_OK):
            return Finding(False, f"plan {name}: the hook {hook[0]} cannot be executed")
    if not plan.sources:
        return Finding(None, f"plan {name} has no sources: it can be checked and pruned, not backed up")
    return Finding(True, f"plan {name}: {', '.join(plan.sources)} → {plan.repository}")


def _no_room_for_reports(state: StateDir) -> Cause | None:
    """Why nothing can be written into the state dir, if there is one. Leaves nothing there."""
    number = probe(state.path) if state.path.exists() else 0
    return of_errno(number, state.spool_file) if number else None


async def _server(state: StateDir, agent_file: AgentFile | None, cause: Cause | None, timings: Timings) -> Finding:
    try:
        credential = state.credential()
        certificate = (agent_file.certificate if agent_file is not None else None) or credential.certificate
        async with dial(
            credential.server_url, credential.token, credential.ca_file, timings, certificate=certificate
        ) as connection:
            await connection.send(introduction.of_a_check(cause.words if cause is not None else None))
            welcome = await welcomed(connection, timings)
    except StateError as error:
        return Finding(False, str(error))
    except LinkDown as down:
        return Finding(False, f"server {credential.server_url}: {down.reason}")
    drift = abs((wire.utc_now() - welcome.server_now).total_seconds())
    count = len(welcome.schedules)
    text = f"server {credential.server_url} knows this host as {credential.name}; {count} schedule{'s' * (count != 1)}"
    if drift > 60:
        return Finding(False, f"{text}; but the clocks are {drift:.0f} s apart")
    return Finding(True, text)
