"""What must be true of a channel before it is stored: every field's errors, for forms and API alike. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from rmactors.common.text import steers
from rmactors.server.channels.base import MAX_TEXT, Field, FieldError, Kind
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import KINDS


def validate(kind: object, name: object, config: object, policy: OutboundPolicy) -> list[FieldError]:
    """All that is wrong with a channel's kind, name and config, at most one error a field; empty if it is good.

    Secrets must be in the config already as text (`config.merge_secrets`).
    """
    errors = list(_name_errors(name))
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        errors.append(FieldError("/kind", f"The kind must be one of {', '.join(KINDS)}."))
        return errors
    return errors + config_errors(known, config, policy)


def config_errors(known: Kind, config: object, policy: OutboundPolicy) -> list[FieldError]:
    """All that is wrong with the config of a channel of this kind."""
    if not isinstance(config, Mapping):
        return [FieldError("/config", "The config must be an object.")]
    errors = []
    fields = {each.name: each for each in known.fields}
    for given in config:
        if given not in fields:
            errors.append(FieldError(f"/config/{_escaped(str(given))}", f"A {known.name} channel has no such setting."))
    for each in known.fields:
        if (detail := _field_error(each, config, policy)) is not None:
            errors.append(FieldError(f"/config/{each.name}", detail))
    return errors


def _name_errors(name: object) -> list[FieldError]:
    if not isinstance(name, str):
        return [FieldError("/name", "The name must be text.")]
    if not name.strip() or len(name) > 100:
        return [FieldError("/name", "The name must have 1 to 100 characters.")]
    detail = _text_error(name) or ("The name must not contain control characters." if steers(name) else None)
    return [FieldError("/name", detail)] if detail else []


def _field_error(each: Field, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    value = config.get(each.name)
    if value is None or value == "":
        return each.missing or None
    if each.input != "number":
        if not isinstance(value, str):
            return "This must be text."
        if (detail := _text_error(value, each.longest, lines=each.input == "textarea")) is not None:
            return detail
    values = [choice.value for choice in each.choices]
    if values and value not in values:
        return f"The {each.name} must be one of {', '.join(values)}."
    return each.check(value, config, policy) if each.check is not None else None


def _text_error(value: str, longest: int = MAX_TEXT, *, lines: bool = False) -> str | None:
    if lines and re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", value):
        return "This must not contain control characters other than line breaks and tabs."
    if not lines and any(character in value for character in "\r\n\0"):
        return "This must not contain line breaks or NUL characters."
    if len(value) > longest:
        return f"This is too long: at most {longest} characters."
    try:
        value.encode()
    except UnicodeEncodeError:
        return "This is not valid text."
    return None


def _escaped(name: str) -> str:
    return name[:100].replace("~", "~0").replace("/", "~1")
