"""Adding hosts, and giving one a new credential: what is typed on which machine, and under which address. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from rmactors.server.config.settings import is_loopback_name, split_address
from rmactors.server.store.queries.hosts import HostRow, status_of
from rmactors.server.web.views import provisioning, words
from rmactors.server.web.views.texts import _, later
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State

STATE_DIR: Final = "/var/lib/rmactors-agent"
LIFETIMES: Final = (("60", later("1 hour")), ("1440", later("1 day")), ("10080", later("7 days")))
"""In minutes."""
NEW_CREDENTIAL: Final = "rmactors agent credential --token-file -"
_QUOTED: Final = "'"
_NOWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - what listens, and is no address of a machine


@dataclass(frozen=True, slots=True)
class Address:
    """Where agents connect. `here_only`: other machines cannot, until what is `to_set` is set. `port_is_private`: a
    proxy on this machine has to pass them on."""

    url: str
    here_only: bool
    listen: str
    port_is_private: bool
    to_set: str


@dataclass(frozen=True, slots=True)
class Commands:
    """What to type on the machine. The token is shown once and kept nowhere; no command holds it, since shells
    remember what is typed and other users of the machine see arguments. `cloud_init` and `playbook` are empty where the
    token is for one host, or machines cannot reach the address."""

    token: str
    enroll: str
    over_ssh: str
    run: str
    expires: Time
    uses: int
    cloud_init: str = ""
    playbook: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """The form of the page, as it comes back."""

    name: str = ""
    uses: str = "1"
    tags: str = ""
    ttl: str = "60"

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "Typed":
        get = form.get
        return cls(get("name", "").strip(), get("uses", "1").strip(), get("tags", "").strip(), get("ttl", "60"))


@dataclass(frozen=True, slots=True)
class Arrival:
    id: str
    name: str
    state: State


def address(url: str, listen: str) -> Address:
    """`url` is where agents are said to connect, `listen` where the port listens."""
    host, port = split_address(listen)
    private = is_loopback_name(host)
    name = urlsplit(url).hostname or ""
    lines = [f"RM_AGENT_LISTEN=0.0.0.0:{port}"] if private else []
    lines.append(f"RM_AGENT_URL=ws://{_('NAME-OF-THIS-SERVER')}:{port}")
    return Address(url, is_loopback_name(name) or name in _NOWHERE, listen, private, "\n".join(lines))


def for_new_hosts(token: str, to: Address, expires: Time, typed: Typed) -> Commands:
    """`typed` has been checked."""
    enroll = f"rmactors agent enroll --server {to.url} --token-file -"
    if typed.name:
        enroll += f" --name {shlex.quote(typed.name)}"
    many = not to.here_only and not typed.name
    return _commands(
        token, enroll, expires, int(typed.uses),
        provisioning.cloud_init(to.url, token) if many else "", provisioning.playbook(to.url) if many else "",
    )  # fmt: skip


def for_same_host(token: str, to: Address, expires: Time) -> Commands:
    """`--again`: the machine may have the host's old credential still, and then it must not ask."""
    return _commands(token, f"rmactors agent enroll --again --server {to.url} --token-file -", expires, 1)


def _commands(token: str, enroll: str, expires: Time, uses: int, cloud_init: str = "", playbook: str = "") -> Commands:
    as_root = f"sudo {enroll}"
    over_ssh = f"ssh -t HOST {shlex.quote(as_root) if _QUOTED in as_root else as_root}"
    return Commands(token, enroll, over_ssh, "rmactors agent install", expires, uses, cloud_init, playbook)


def arrivals(rows: Sequence[HostRow], moment: Moment, offline_after_seconds: float) -> tuple[Arrival, ...]:
    return tuple(
        Arrival(row.id, row.name, words.host_status(status_of(row, moment.now, offline_after_seconds))) for row in rows
    )


def errors_of(typed: Typed, most_uses: int, lifetimes: Sequence[str]) -> dict[str, str]:
    """What is wrong in the form, by field."""
    found = {}
    uses = int(typed.uses) if typed.uses.isascii() and typed.uses.isdecimal() and len(typed.uses) < 9 else 0
    if not 1 <= uses <= most_uses:
        found["uses"] = _("A whole number from 1 to %(most)s.") % {"most": f"{most_uses:,}"}
    elif typed.name and uses > 1:
        found["name"] = _("Leave the name out: several hosts are enrolled under their own host names.")
    if typed.ttl not in lifetimes:
        found["ttl"] = _("Choose one of the times.")
    return found
