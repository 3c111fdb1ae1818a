"""What a channel's `config` consists of, which of it is secret, and how secrets are shown, kept and cleared. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from rmactors.vocabulary import ChannelKind

MASK: Final = "••••"
DEFAULT_NTFY_SERVER: Final = "https://ntfy.sh"
ENCRYPTIONS: Final = ("starttls", "tls", "none")

FIELDS: Final[dict[ChannelKind, tuple[str, ...]]] = {
    "webhook": ("url", "bearer_token", "header_name", "header_value", "signing_secret"),
    "ntfy": ("server_url", "topic", "access_token"),
    "smtp": ("host", "port", "encryption", "username", "password", "from", "to"),
}
SECRET_FIELDS: Final[dict[ChannelKind, frozenset[str]]] = {
    "webhook": frozenset({"bearer_token", "header_value", "signing_secret"}),
    "ntfy": frozenset({"access_token"}),
    "smtp": frozenset({"password"}),
}
OPTIONAL_FIELDS: Final[dict[ChannelKind, frozenset[str]]] = {
    "webhook": frozenset({"bearer_token", "header_name", "header_value", "signing_secret"}),
    "ntfy": frozenset({"server_url", "access_token"}),
    "smtp": frozenset({"encryption", "username", "password"}),
}
_DEFAULTS: Final[dict[ChannelKind, dict[str, Any]]] = {
    "webhook": {},
    "ntfy": {"server_url": DEFAULT_NTFY_SERVER},
    "smtp": {"encryption": "starttls"},
}
_ALL_SECRETS: Final[frozenset[str]] = frozenset().union(*SECRET_FIELDS.values())
_SET: Final = {"set": True}


def normalized(kind: ChannelKind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as it is stored: defaults filled in, what is null or empty left out. Give it a valid one."""
    given = {name: value for name, value in config.items() if value is not None and value != ""}
    return {name: value for name in FIELDS[kind] if (value := given.get(name, _DEFAULTS[kind].get(name))) is not None}


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
        if merged.get(name, _SET) == _SET and old.get(name):
            merged[name] = old[name]
        elif name in merged and merged[name] is None:
            del merged[name]
    return merged


def with_secrets_hidden(kind: ChannelKind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with `••••` for every secret that is there, to show what would be sent."""
    return {name: MASK if name in SECRET_FIELDS[kind] and value else value for name, value in config.items()}


def secret_values(kind: ChannelKind, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The secrets themselves, longest first, to keep a receiver's answer from repeating them."""
    found = (config.get(name) for name in SECRET_FIELDS[kind])
    return tuple(sorted((value for value in found if isinstance(value, str) and value), key=len, reverse=True))
