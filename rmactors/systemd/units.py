"""What the units of server and agent have in common. Pure: text from values."""

import shlex
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path("/etc/systemd/system")
STATE_ROOT: Final = Path("/var/lib")
"""`StateDirectory=` names places below it."""

HARDENED: Final = """\
ProtectSystem=strict
PrivateTmp=yes
NoNewPrivileges=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
"""
"""What neither of the two services needs, as any user."""


def quoted(text: str) -> str:
    """One word of a unit's line: `%` and `$` mean something to systemd."""
    text = text.replace("%", "%%").replace("$", "$$")
    if shlex.quote(text) == text or (text.startswith("-/") and " " not in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
