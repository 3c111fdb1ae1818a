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
shorter than anybody would sleep on it."""


_UNIT: Final = """\
# Written by `rmactors server install`; `rmactors server uninstall` removes it.
# Settings stand in {settings}, secrets in {environment} as RM_X=value;
# what else is to be different, in `systemctl edit rmactors-server`.
[Unit]
Description=restic-manager server
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
ExecStart={start}
Environment={data_dir}
EnvironmentFile=-{environment}
# Restarted when stuck for so long. Not for a full disk: a restart would not mend that.
WatchdogSec={watchdog}
# The first start after an upgrade may change a large database.
TimeoutStartSec=900
TimeoutStopSec=30
Restart=always
RestartSec=5
DynamicUser=yes
User=rmactors
StateDirectory={state}
StateDirectoryMode=0700
UMask=0077
# A core dump would hold secrets.
LimitCORE=0

{hardened}ProtectHome={home}
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


class BadDataDir(ValueError):
    """The data dir is none that systemd could make and hand over to the service's user."""


def render(command: Sequence[str], flags: Sequence[str], data_dir: Path, *, in_home: bool) -> str:
    """The unit's text. Raises BadDataDir.

    command    how to call rmactors on this machine
    flags      of `rmactors server`
    data_dir   below `/var/lib`: systemd makes it and gives it to the service's user
    in_home    rmactors itself is installed below /home: that stays readable

    The user exists only while the service runs and owns nothing but the data dir; root can still read and write there,
    which is what `rmactors admin` does.
    """
    try:
        state = data_dir.relative_to(STATE_ROOT)
    except ValueError:
        raise BadDataDir(f"the data dir of a service has to be below {STATE_ROOT}, and {data_dir} is not") from None
    if not state.parts or ".." in state.parts:
        raise BadDataDir(f"the data dir of a service has to be a directory below {STATE_ROOT}")
    start = " ".join(quoted(word) for word in [*command, "server", *flags])
    return _UNIT.format(
        settings=DEFAULT_FILE,
        environment=ENVIRONMENT_FILE,
        start=start,
        data_dir=quoted(f"RM_DATA_DIR={data_dir}"),
        watchdog=WATCHDOG_SECONDS,
        state=quoted(str(state)),
        hardened=HARDENED,
        home="read-only" if in_home else "yes",
    )
