"""The systemd unit of the server. Pure: what it says follows from where things are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rmactors.server.config.settings import DEFAULT_FILE
from rmactors.systemd.units import HARDENED, STATE_ROOT, quoted

NAME: Final = "rmactors-server.service"
DATA_DIR: Final = STATE_ROOT / "rmactors"
ENVIRONMENT_FILE: Final = Path("/etc/rmactors/server.env")
WATCHDOG_SECONDS: Final = 180
"""As long as the process or a part of it may be stuck before it is restarted: longer than any moment's trouble,
shorter than an outage may last unnoticed."""


class BadDataDir(ValueError):
    """Systemd cannot make this data dir and hand it over to the service's user."""


def render(command: Sequence[str], flags: Sequence[str], data_dir: Path, *, in_home: bool) -> str:
    """The unit's text. Raises BadDataDir.

    command    how to call rmactors on this machine
    flags      of `rmactors server`
    data_dir   below `/var/lib`: systemd makes it and gives it to the service's user
    in_home    rmactors itself is installed below /home: that stays readable

    The user exists only while the service runs and owns nothing but the data dir; root can still read and write there,
    which is what `rmactors admin` does.
    """
    state = _below_state_root(data_dir)
    start = " ".join(quoted(word) for word in [*command, "server", *flags])
    return f"""\
# Written by `rmactors server install`; `rmactors server uninstall` removes it.
# Settings stand in {DEFAULT_FILE}, secrets in {ENVIRONMENT_FILE} as RM_X=value;
# what else is to be different, in `systemctl edit rmactors-server`.
[Unit]
Description=restic-manager server
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
ExecStart={start}
Environment={quoted(f"RM_DATA_DIR={data_dir}")}
EnvironmentFile=-{ENVIRONMENT_FILE}
# Restarted when stuck for so long. Not for a full disk: a restart would not mend that.
WatchdogSec={WATCHDOG_SECONDS}
# The first start after an upgrade may change a large database.
TimeoutStartSec=900
TimeoutStopSec=30
Restart=always
RestartSec=5
DynamicUser=yes
User=rmactors
StateDirectory={quoted(str(state))}
StateDirectoryMode=0700
UMask=0077
# A core dump would hold secrets.
LimitCORE=0

{HARDENED}ProtectHome={"read-only" if in_home else "yes"}
ProtectProc=invisible
ProcSubset=all
RemoveIPC=yes
RestrictSUIDSGID=yes
MemoryDenyWriteExecute=yes
# A port below 1024 needs CAP_NET_BIND_SERVICE here and as AmbientCapabilities.
CapabilityBoundingSet=
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def _below_state_root(data_dir: Path) -> Path:
    try:
        state = data_dir.relative_to(STATE_ROOT)
    except ValueError:
        raise BadDataDir(f"the data dir of a service has to be below {STATE_ROOT}, and {data_dir} is not") from None
    if not state.parts or ".." in state.parts:
        raise BadDataDir(f"the data dir of a service has to be a directory below {STATE_ROOT}")
    return state
