"""The systemd unit of the agent. Pure: what it says follows from where things are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rmactors.agent.agent_file import DEFAULT_FILE, AgentFile
from rmactors.agent.state_dir import SYSTEM_DIR
from rmactors.systemd.units import HARDENED, quoted

NAME: Final = "rmactors-agent.service"


def render(command: Sequence[str], config: Path, state_dir: Path, agent_file: AgentFile) -> str:
    """The unit's text. `command` is how to call rmactors on this machine.

    Root, because it reads every file that is to be backed up; but the file system is read-only for it except where
    the agent's own file says that something is written, and nothing else of root's powers is left.
    """
    writable = " ".join(quoted(path) for path in _written(agent_file, state_dir))
    # The default file may be missing, on a host that only wraps commands; one that was named may not.
    named = [] if config == Path(DEFAULT_FILE) else ["--config", str(config)]
    start = " ".join(quoted(word) for word in [*command, "agent", "run", *named])
    return f"""\
# Written by `rmactors agent install`; `rmactors agent uninstall` removes it.
[Unit]
Description=restic-manager agent
Documentation=https://restic.readthedocs.io/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={start}
Environment=RM_AGENT_STATE_DIR={quoted(str(state_dir))}
Restart=always
RestartSec=5
# restic gets SIGINT from the agent, which then waits for it; whatever is left after that is killed.
KillMode=mixed
TimeoutStopSec={int(agent_file.cancel_grace_seconds) + 75}
StateDirectory={SYSTEM_DIR.name if state_dir == SYSTEM_DIR else ""}
StateDirectoryMode=0700
CacheDirectory=rmactors-agent
Environment=XDG_CACHE_HOME=/var/cache/rmactors-agent
UMask=0077
Nice=10
IOSchedulingClass=idle

{HARDENED}ReadWritePaths={writable}
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_SETUID CAP_SETGID CAP_MKNOD

[Install]
WantedBy=multi-user.target
"""


def _written(agent_file: AgentFile, state_dir: Path) -> list[str]:
    """Places that jobs write to: the state dir, local repositories, caches, and where restores land."""
    found = [str(state_dir)]
    for repository in agent_file.repositories.values():
        found += [path for path in (repository.folder, repository.cache_dir, repository.restore_to) if path]
    found += agent_file.restore_targets
    found += [agent_file.restore_test_dir] if agent_file.restore_test_dir else []
    return [f"-{path}" for path in dict.fromkeys(found)]  # `-`: one that is missing today is no reason not to start
