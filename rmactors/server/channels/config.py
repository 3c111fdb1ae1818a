"""A channel's `config`: how it is stored, and how its secrets are shown, kept and cleared. Pure.

Which fields it has, and which of them are secret, says its `Kind`. One rule holds for all kinds: a stored secret goes
only where it was meant to go when it was given (`Field.steers`).
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from rmactors.server.channels.base import Field, FieldError, Kind
from rmactors.server.channels.net.endpoint import authority, parse_url

MASK: Final = "••••"
_SET: Final = {"set": True}
_SHORTEST_SECRET: Final = 10
"""Characters of a part of a secret URL that is hidden wherever it is repeated; what is shorter is a word."""


def normalized(kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as it is stored: defaults filled in, what is null or empty left out. Give it a valid one."""
    given = {name: value for name, value in config.items() if value is not None and value != ""}
    return {each.name: value for each in kind.fields if (value := given.get(each.name, each.default)) is not None}


def masked(kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as it may be read: each secret that is there as `{"set": true}`, the others not at all."""
    secrets = _secrets(kind)
    return {
        name: dict(_SET) if name in secrets else value
        for name, value in config.items()
        if value or name not in secrets
    }  # fmt: skip


def merge_secrets(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`new` in place of `old`, where a secret that is omitted or `{"set": true}` stays and `null` clears it."""
    merged = dict(new)
    for name in _secrets(kind):
        if _is_kept(old, new, name):
            merged[name] = old[name]
        elif name in merged and merged[name] is None:
            del merged[name]
    return merged


def secrets_led_elsewhere(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[FieldError]:
    """An error for each secret of `old` that `new` keeps, while what decides where the secrets go changes.

    So nobody learns a stored secret by pointing its channel at a receiver of their own. `new` is as it was sent.
    """
    kept = {name: old[name] for name in _secrets(kind) if _is_kept(old, new, name)}
    before, after = normalized(kind, old), normalized(kind, {**new, **kept})
    steering = [each.name for each in kind.fields if each.steers and (each.secret_url or not each.secret)]
    moved = [name for name in steering if before.get(name) != after.get(name)]
    if not moved:
        return []
    why = f"must be given again or cleared, because {' and '.join(moved)} changed: it was stored for the old receiver"
    return [FieldError(f"/config/{name}", why) for name in kept]


def audited_destination(kind: Kind, config: Mapping[str, Any]) -> str:
    """Where a channel with this valid config sends, for the audit trail: the host of its first field. No secret."""
    first = kind.fields[0]
    return _audited(first, normalized(kind, config).get(first.name))


def audited_changes(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two valid configs, for the audit trail: hosts old and new, secrets by name alone."""
    before, after = normalized(kind, old), normalized(kind, new)
    found = []
    for each in kind.fields:
        was, now = before.get(each.name), after.get(each.name)
        if was == now:
            continue
        hosts = (_audited(each, was), _audited(each, now))
        if each.audit == "name" or (each.secret and (not each.secret_url or hosts[0] == hosts[1])):
            found.append(f"{each.name} {'set' if was is None else 'cleared' if now is None else 'replaced'}")
        else:
            found.append(f"{each.name} {hosts[0]} → {hosts[1]}")
    return found


def with_secrets_hidden(kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with `••••` for every secret that is there, to show what would be sent; of a URL the host is left."""
    secrets = {each.name: each for each in kind.fields if each.secret}
    return {
        name: _hidden(secrets[name], value) if name in secrets and value else value for name, value in config.items()
    }


def secret_values(fields: tuple[Field, ...], config: Mapping[str, Any]) -> tuple[str, ...]:
    """The secrets themselves, longest first, to keep a receiver's answer from repeating them, or parts of a URL."""
    found: set[str] = set()
    for each in fields:
        value = config.get(each.name)
        if each.secret and isinstance(value, str) and value:
            parts = _parts(value) if each.secret_url else ()
            found |= {value, *parts} | {quote(part, safe="") for part in (value, *parts)}
    return tuple(sorted(found, key=len, reverse=True))


def host_alone(value: object) -> str:
    """Host and port of a URL that is given whole or hidden; empty for what is none."""
    try:
        return authority(parse_url(str(value)))
    except ValueError:
        return ""


def _hidden(each: Field, value: object) -> str:
    host = host_alone(value) if each.secret_url else ""
    return f"{parse_url(str(value)).scheme}://{host}/{MASK}" if host else MASK


def _parts(url: str) -> tuple[str, ...]:
    """What a receiver might repeat of a URL: its path, and what in there is long enough to be a token."""
    path = "/" + url.partition("://")[2].partition("/")[2]
    pieces = [piece for part in path.replace("?", "/").replace("&", "/").split("/") for piece in part.split("=")]
    found = [path, *pieces, *map(unquote, pieces)]
    return tuple(piece for piece in found if len(piece) >= _SHORTEST_SECRET)


def _secrets(kind: Kind) -> tuple[str, ...]:
    return tuple(each.name for each in kind.fields if each.secret)


def _is_kept(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> bool:
    return bool(old.get(name)) and new.get(name, _SET) == _SET


def _audited(each: Field, value: object) -> str:
    """A value for the audit trail: of a URL its host alone, and no more than one reads."""
    if value is None:
        return "none"
    if each.audit == "host":
        return host_alone(value) or "?"  # stored by a version that took it
    return str(value)[:200]
