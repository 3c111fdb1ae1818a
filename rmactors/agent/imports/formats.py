"""The formats of other tools' files, read. YAML and HCL need the extra `import`. Pure."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

_QUOTED_NAME: Final = re.compile(r'^(\s*)"([A-Za-z_][\w-]*)"(?=\s*[={"])', re.MULTILINE)
"""A name at the beginning of a line in quotation marks: resticprofile's HCL has them, HCL 2 does not."""
EXTRA: Final = "pip install 'rmactors[import]'"


class CannotRead(Exception):
    """A file that is not as it should be, or whose format cannot be read here. The message is a sentence."""


def read(text: str, ending: str) -> Mapping[str, Any]:
    """What a file holds, by how its name ends. Raises CannotRead."""
    try:
        match ending.lower().lstrip("."):
            case "yaml" | "yml":
                found = _yaml(text)
            case "hcl":
                found = _hcl(text)
            case "json":
                found = json.loads(text)
            case _:  # resticprofile's `.conf` is TOML as well
                found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotRead(f"cannot be read: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(found, Mapping):
        raise CannotRead("holds no table of settings")
    return found


def _yaml(text: str) -> object:
    try:
        import yaml
    except ModuleNotFoundError:
        raise CannotRead(f"is YAML, which needs another package: {EXTRA}") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _hcl(text: str) -> object:
    try:
        import hcl2
        from lark.exceptions import LarkError
    except ModuleNotFoundError:
        raise CannotRead(f"is HCL, which needs another package: {EXTRA}") from None
    try:
        return _plain(hcl2.loads(_QUOTED_NAME.sub(r"\1\2", text)))
    except LarkError as error:
        raise ValueError(str(error)) from None


def _plain(value: Any) -> Any:
    """It leaves quotation marks around texts and keys, and gives blocks of a name as a list; here one table."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items() if not key.startswith("__is_")}
    if isinstance(value, list):
        found = [_plain(each) for each in value]
        tables = [each for each in found if isinstance(each, dict)]
        return {key: each for table in tables for key, each in table.items()} if tables else found
    return value
