"""Where a restore may go, by what agent.toml says: from the words of a request to a folder, or why not. Pure.

`restore_folder` then looks at the disk: links, who could change the folder, what lies in it.
"""

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from rmactors.agent.agent_file import LONGEST_TARGET, AgentFile
from rmactors.agent.restore_patterns import plain
from rmactors.common import wire
from rmactors.common.text import steers

_JOB_ID: Final = re.compile(wire.ID_PATTERN)
_PATTERN: Final = re.compile(r"[\\*?\[\]]")
_LONGEST_NAME: Final = 255


class TargetRefused(Exception):
    """Nothing is restored to there. The message says why, and what to do, in one sentence."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What no restore may touch: a source, or a repository on this machine. `words` name it in a sentence.

    `excluded` are folders in it that its plan does not back up.
    """

    words: str
    path: str
    is_source: bool = False
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a restore is to go. `within` is the folder that the file names under `key`, `below` the names from there.

    The restore gets a new folder there, named `new_folder`: always where `in_new_folder` says so, else where something
    lies there already. It is not to meet anything of `kept`.
    """

    key: str
    within: str
    below: tuple[str, ...]
    new_folder: str
    in_new_folder: bool
    kept: tuple[Kept, ...] = ()

    @property
    def path(self) -> str:
        return posixpath.join(self.within, *self.below)

    @property
    def own_path(self) -> str:
        return posixpath.join(self.path, self.new_folder)


def target_of(agent_file: AgentFile, repository: str, asked: str | None, job_id: str) -> Target:
    """What `target` means on this host, for a plan of that repository. Raises TargetRefused."""
    if not _JOB_ID.match(job_id):
        raise TargetRefused("the job's id is none: it would not name a folder")
    if asked is not None:
        return _named(agent_file, asked, job_id)
    restore_to = agent_file.repositories[repository].restore_to
    if restore_to is not None:
        return Target("restore_to", posixpath.normpath(restore_to), (), job_id, in_new_folder=True)
    match agent_file.restore_targets:
        case []:
            raise TargetRefused(
                "agent.toml names no folder to restore into: it needs `restore_targets`, or `restore_to` "
                f"for the repository {repository}"
            )
        case [only]:
            return target_in(agent_file, only, job_id)
        case several:
            raise TargetRefused(f"params.target must say where to: agent.toml allows {', '.join(several)}")


def target_in(agent_file: AgentFile, folder: str, new_folder: str = "") -> Target:
    """A new folder in one of the `restore_targets`."""
    return Target("restore_targets", plain(folder), (), new_folder, in_new_folder=True, kept=kept_by(agent_file))


def _named(agent_file: AgentFile, asked: str, job_id: str) -> Target:
    if not asked.startswith("/"):
        raise TargetRefused(f"params.target: {asked[:200]!r} must be an absolute path")
    if len(asked) > LONGEST_TARGET or steers(asked):
        raise TargetRefused("params.target must be one line of at most 4096 characters, without control characters")
    if ".." in asked.split("/"):
        raise TargetRefused(f"params.target: {asked[:200]} must not contain `..`")
    if any(len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME for name in asked.split("/")):
        raise TargetRefused(f"params.target: no folder can have a name of more than {_LONGEST_NAME} bytes")
    if not agent_file.restore_targets:
        raise TargetRefused("agent.toml names no `restore_targets`: a restore cannot be told where to go")
    path = plain(asked)
    for folder in sorted(map(plain, agent_file.restore_targets), key=len, reverse=True):
        if is_below(path, folder):
            below = tuple(filter(None, path[len(folder) :].split("/")))
            return Target("restore_targets", folder, below, job_id, in_new_folder=False, kept=kept_by(agent_file))
    allowed = ", ".join(agent_file.restore_targets)
    raise TargetRefused(f"{asked[:200]} is not below a folder that agent.toml names in `restore_targets` ({allowed})")


def kept_by(agent_file: AgentFile) -> tuple[Kept, ...]:
    """Every source of every plan, and the repositories that are folders of this machine."""
    sources = [
        Kept(f"the source {source} of plan {name}", posixpath.normpath(source), True, _folders(plan.exclude))
        for name, plan in agent_file.plans.items()
        for source in plan.sources
    ]
    repositories = [
        Kept(f"the repository {name}", posixpath.normpath(repository.folder))
        for name, repository in agent_file.repositories.items()
        if repository.folder is not None
    ]
    return (*sources, *repositories)


def is_below(path: str, folder: str) -> bool:
    """Whether it is that folder or lies in it, by the names alone. Both absolute and without `..`."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _folders(exclude: list[str]) -> tuple[str, ...]:
    """Of a plan's excludes, those that name one path and nothing else."""
    return tuple(plain(one) for one in exclude if one.startswith("/") and not _PATTERN.search(one))
