"""What must be true of a channel before it is stored: every field's errors, for forms and API alike. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from rmactors.common.text import steers
from rmactors.common.vocabulary import CHANNEL_KINDS
from rmactors.server.channels.base import FieldError
from rmactors.server.channels.config import ENCRYPTIONS, FIELDS, OPTIONAL_FIELDS
from rmactors.server.channels.mail.addresses import parse_address, parse_addresses
from rmactors.server.channels.net.egress import OutboundPolicy, literal_address
from rmactors.server.channels.net.endpoint import parse_endpoint
from rmactors.server.channels.net.hostnames import ascii_host
from rmactors.server.channels.webhook.payload import signing_key

_MAX_TEXT: Final = 8192
_LABELS: Final = {
    "url": "A URL is needed.",
    "topic": "A topic is needed.",
    "host": "The mail server's host name is needed.",
    "port": "The mail server's port is needed.",
    "from": "A sender address is needed.",
    "to": "At least one recipient is needed.",
}
_OURS: Final = frozenset({
    "host", "connection", "content-length", "content-type", "expect", "idempotency-key", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade", "user-agent", "webhook-id", "webhook-signature", "webhook-timestamp",
})  # fmt: skip


def validate(kind: object, name: object, config: object, policy: OutboundPolicy) -> list[FieldError]:
    """All that is wrong with a channel's kind, name and config, at most one error a field; empty where it is good.

    Secrets must be in the config already as text (`config.merge_secrets`).
    """
    errors = list(_name_errors(name))
    if kind not in CHANNEL_KINDS:
        errors.append(FieldError("/kind", f"The kind must be one of {', '.join(CHANNEL_KINDS)}."))
        return errors
    if not isinstance(config, Mapping):
        errors.append(FieldError("/config", "The config must be an object."))
        return errors
    known = next(known for known in CHANNEL_KINDS if known == kind)
    for field in config:
        if field not in FIELDS[known]:
            errors.append(FieldError(f"/config/{_escaped(str(field))}", f"A {known} channel has no such setting."))
    for field in FIELDS[known]:
        if (detail := _field_error(known, field, config, policy)) is not None:
            errors.append(FieldError(f"/config/{field}", detail))
    return errors


def _name_errors(name: object) -> list[FieldError]:
    if not isinstance(name, str):
        return [FieldError("/name", "The name must be text.")]
    if not name.strip() or len(name) > 100:
        return [FieldError("/name", "The name must have 1 to 100 characters.")]
    detail = _text_error(name) or ("The name must not contain control characters." if steers(name) else None)
    return [FieldError("/name", detail)] if detail else []


def _field_error(kind: Any, field: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    value = config.get(field)
    if value is None or value == "":
        return None if field in OPTIONAL_FIELDS[kind] else _LABELS[field]
    if field == "port":
        fine = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
        return None if fine else "The port must be a whole number from 1 to 65535."
    if not isinstance(value, str):
        return "This must be text."
    if (detail := _text_error(value)) is not None:
        return detail
    check = _CHECKS.get(field)
    return check(value, config, policy) if check is not None else None


def _text_error(value: str) -> str | None:
    if any(character in value for character in "\r\n\0"):
        return "This must not contain line breaks or NUL characters."
    if len(value) > _MAX_TEXT:
        return f"This is too long: at most {_MAX_TEXT} characters."
    try:
        value.encode()
    except UnicodeEncodeError:
        return "This is not valid text."
    return None


def _url(value: str, _: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    try:
        host = parse_endpoint(value).host
    except ValueError as error:
        return str(error)
    return _literal_refusal(host, policy)


def _server_url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if "?" in value or "#" in value:
        return "Only the server's address belongs here, without ? or #."
    return _url(value, config, policy)


def _topic(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if not value.strip():
        return _LABELS["topic"]
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        return "A topic has at most 64 letters, digits, hyphens and underscores."
    return None


def _host(value: str, _: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if not value.strip():
        return _LABELS["host"]
    if "/" in value or re.fullmatch(r"[^:]+:[0-9]+", value):
        return "Only the host name belongs here; the port has a field of its own."
    try:
        host = ascii_host(value)
    except ValueError as error:
        return str(error)
    return _literal_refusal(host, policy)


def _encryption(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return None if value in ENCRYPTIONS else f"The encryption must be one of {', '.join(ENCRYPTIONS)}."


def _from(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return _raised(lambda: parse_address(value))


def _to(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return _raised(lambda: parse_addresses(value))


def _header_name(value: str, config: Mapping[str, Any], _: OutboundPolicy) -> str | None:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value):
        return "A header's name has letters, digits and hyphens, no spaces or colons."
    if value.lower() in _OURS:
        return "restic-manager sets this header itself; choose another one."
    if value.lower() == "authorization" and config.get("bearer_token"):
        return "The bearer token goes into Authorization already; use one of the two."
    return None


def _header_value(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        return "This must not contain control characters."
    return None if value.strip() else "This must not be blank."


def _signing_secret(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return _raised(lambda: signing_key(value))


def _literal_refusal(host: str, policy: OutboundPolicy) -> str | None:
    """Only literals are judged here; where a name leads is judged each time it is connected to."""
    address = literal_address(host)
    refusal = policy.refusal(address, host) if address is not None else None
    return f"{refusal}." if refusal else None


def _raised(parse: Callable[[], object]) -> str | None:
    try:
        parse()
    except ValueError as error:
        return str(error)
    return None


def _escaped(name: str) -> str:
    return name[:100].replace("~", "~0").replace("/", "~1")


_CHECKS: Final[dict[str, Callable[[str, Mapping[str, Any], OutboundPolicy], str | None]]] = {
    "url": _url,
    "bearer_token": _header_value,
    "header_name": _header_name,
    "header_value": _header_value,
    "signing_secret": _signing_secret,
    "server_url": _server_url,
    "topic": _topic,
    "access_token": _header_value,
    "host": _host,
    "encryption": _encryption,
    "from": _from,
    "to": _to,
}
