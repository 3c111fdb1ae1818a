"""The programs that an agent's file has the agent run, and whether somebody else could put others in their place."""

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.agent.command_line import program_of
from rmactors.agent.tampering import trouble_with

_INTERPRETER: Final = re.compile(r"(?:ba|da|a|k|z|fi)?sh|(?:python|perl|ruby|php|lua)[\d.]*|node")
"""Programs whose first argument is the program."""
_OPTIONS_WITH_COMMANDS: Final = ("sftp.command=", "rclone.program=")
_HELPERS: Final = (("sftp:", "ssh"), ("rclone:", "rclone"))
"""What restic itself starts for a repository."""


def troubles_of(agent_file: AgentFile) -> list[str]:
    """All that is wrong with what the agent's file has the agent run: nothing if it only reports what others run."""
    found = [trouble_of_restic(agent_file.restic)] if agent_file.repositories else []
    found += [trouble_of_repository(name, repository) for name, repository in agent_file.repositories.items()]
    found += [trouble_of_hooks(name, plan) for name, plan in agent_file.plans.items()]
    return [words for words in found if words is not None]


def trouble_of_restic(restic: str) -> str | None:
    return _first(("restic", program) for program in _programs([restic]))


def trouble_of_repository(name: str, repository: Repository) -> str | None:
    """Its environment file counts too: variables make programs run others."""
    commands = [repository.password_command or "", *(_command_in(option) for option in repository.options)]
    commands += [program for backend, program in _HELPERS if repository.repository.startswith(backend)]
    found = [("the command", program) for command in filter(None, commands) for program in _programs(_split(command))]
    if repository.environment_file is not None:
        found.append(("the environment_file", repository.environment_file))
    trouble = _first(found)
    return f"repositories.{name}: {trouble}" if trouble else None


def trouble_of_hooks(name: str, plan: Plan) -> str | None:
    commands = filter(None, (plan.hooks.before, plan.hooks.after))
    trouble = _first(("the hook", program) for command in commands for program in _programs(command))
    return f"plans.{name}: {trouble}" if trouble else None


def _first(files: Iterable[tuple[str, str]]) -> str | None:
    return next((words for of, file in files if (words := trouble_with(file, of=of)) is not None), None)


def _programs(command: Sequence[str]) -> Iterator[str]:
    """The files that a command runs: its program, the one behind `nice` and the like, and the script of a shell."""
    inner = program_of(command).words
    for words in (tuple(command), inner) if inner and inner != tuple(command) else (tuple(command),):
        found = shutil.which(words[0])
        if found is not None:
            yield found
        if _INTERPRETER.fullmatch(os.path.basename(words[0])):
            script = next((word for word in words[1:] if not word.startswith("-")), "")
            if os.path.isabs(script) and "-c" not in words[1:2]:
                yield script


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command) or [command]
    except ValueError:
        return [command]


def _command_in(option: str) -> str:
    """The command in one of restic's extended options, if it has one."""
    return next((option.removeprefix(name) for name in _OPTIONS_WITH_COMMANDS if option.startswith(name)), "")
