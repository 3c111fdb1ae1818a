"""What a channel's `config` consists of, which of it is secret, and how secrets are shown, kept and cleared. Pure.

Each kind describes its own settings. One rule holds for all kinds, also those to come: a stored secret goes where it
was given to go. Every setting that is no secret counts as one that decides that, unless its description says that it
does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from rmactors.common.vocabulary import ChannelKind
from rmactors.server.channels.base import FieldError
from rmactors.server.channels.net.endpoint import parse_endpoint

MASK: Final = "••••"
DEFAULT_NTFY_SERVER: Final = "https://ntfy.sh"
ENCRYPTIONS: Final = ("starttls", "tls", "none")


@dataclass(frozen=True, slots=True)
class Setting:
    """One entry of a config.

    steers    it decides where the secrets go, or how they are protected on the way: with a new value, no stored
              secret is kept. Said of what is no secret; it is so unless the description says otherwise
    told      how the audit trail tells a new value: `host` (of a URL; the rest of it may be a secret), `value`, or
              `name`, only that it changed
    """

    name: str
    secret: bool = False
    optional: bool = False
    default: Any = None
    steers: bool = True
    told: Literal["host", "value", "name"] = "name"


KINDS: Final[Mapping[ChannelKind, tuple[Setting, ...]]] = {
    "webhook": (
        Setting("url", told="host"),
        Setting("bearer_token", secret=True, optional=True),
        Setting("header_name", optional=True, told="value"),
        Setting("header_value", secret=True, optional=True),
        Setting("signing_secret", secret=True, optional=True),
    ),
    "ntfy": (
        Setting("server_url", optional=True, default=DEFAULT_NTFY_SERVER, told="host"),
        Setting("topic", steers=False),  # of the same server, which knows the token already
        Setting("access_token", secret=True, optional=True),
    ),
    "smtp": (
        Setting("host", told="value"),
        Setting("port", told="value"),
        Setting("encryption", optional=True, default="starttls", told="value"),
        Setting("username", optional=True),
        Setting("password", secret=True, optional=True),
        Setting("from", steers=False, told="value"),  # these two are told to the server, not the password to them
        Setting("to", steers=False),
    ),
}
FIELDS: Final[dict[ChannelKind, tuple[str, ...]]] = {
    kind: tuple(each.name for each in settings) for kind, settings in KINDS.items()
}
SECRET_FIELDS: Final[dict[ChannelKind, frozenset[str]]] = {
    kind: frozenset(each.name for each in settings if each.secret) for kind, settings in KINDS.items()
}
OPTIONAL_FIELDS: Final[dict[ChannelKind, frozenset[str]]] = {
    kind: frozenset(each.name for each in settings if each.optional) for kind, settings in KINDS.items()
}
_ALL_SECRETS: Final[frozenset[str]] = frozenset().union(*SECRET_FIELDS.values())
_SET: Final = {"set": True}


def normalized(kind: ChannelKind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as it is stored: defaults filled in, what is null or empty left out. Give it a valid one."""
    given = {name: value for name, value in config.items() if value is not None and value != ""}
    return {each.name: value for each in KINDS[kind] if (value := given.get(each.name, each.default)) is not None}


def masked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as it may be read: each secret that is there as `{"set": true}`, the others not at all."""
    return {
        name: dict(_SET) if name in _ALL_SECRETS else value
        for name, value in config.items()
        if value or name not in _ALL_SECRETS
    }


def merge_secrets(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`new` in place of `old`, where a secret that is omitted or `{"set": true}` stays and `null` clears it."""
    merged = dict(new)
    for name in _ALL_SECRETS:
        if _is_kept(old, new, name):
            merged[name] = old[name]
        elif name in merged and merged[name] is None:
            del merged[name]
    return merged


def secrets_led_elsewhere(kind: ChannelKind, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[FieldError]:
    """A fault for each secret of `old` that `new` keeps, while what decides where the secrets go changes.

    So nobody learns a stored secret by pointing its channel at a receiver of their own. `new` is as it was sent.
    """
    before, after = normalized(kind, old), normalized(kind, new)
    moved = [each.name for each in KINDS[kind] if _steers(each) and before.get(each.name) != after.get(each.name)]
    if not moved:
        return []
    why = f"must be given again or cleared, because {' and '.join(moved)} changed: it was stored for the old receiver"
    kept = [each.name for each in KINDS[kind] if each.secret and _is_kept(old, new, each.name)]
    return [FieldError(f"/config/{name}", why) for name in kept]


def told_destination(kind: ChannelKind, config: Mapping[str, Any]) -> str:
    """Where a channel with this valid config sends, in a word: the host of its first setting. Never a secret."""
    first = KINDS[kind][0]
    return _told(first, normalized(kind, config).get(first.name))


def told_changes(kind: ChannelKind, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two valid configs, for the audit trail: hosts old and new, secrets by name alone."""
    before, after = normalized(kind, old), normalized(kind, new)
    found = []
    for each in KINDS[kind]:
        was, now = before.get(each.name), after.get(each.name)
        if was == now:
            continue
        if each.secret or each.told == "name":
            found.append(f"{each.name} {'set' if was is None else 'cleared' if now is None else 'replaced'}")
        else:
            found.append(f"{each.name} {_told(each, was)} → {_told(each, now)}")
    return found


def with_secrets_hidden(kind: ChannelKind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with `••••` for every secret that is there, to show what would be sent."""
    return {name: MASK if name in SECRET_FIELDS[kind] and value else value for name, value in config.items()}


def secret_values(kind: ChannelKind, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The secrets themselves, longest first, to keep a receiver's answer from repeating them."""
    found = (config.get(name) for name in SECRET_FIELDS[kind])
    return tuple(sorted((value for value in found if isinstance(value, str) and value), key=len, reverse=True))


def _steers(each: Setting) -> bool:
    return each.steers and not each.secret


def _is_kept(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> bool:
    return bool(old.get(name)) and new.get(name, _SET) == _SET


def _told(each: Setting, value: object) -> str:
    """A value for the audit trail: of a URL its host alone, and no more than one reads."""
    if value is None:
        return "none"
    if each.told == "host":
        try:
            return parse_endpoint(str(value)).authority
        except ValueError:  # stored by a version that took it
            return "?"
    return str(value)[:200]
