"""Files of other tools, read or refused with a sentence."""

import builtins
from typing import Any

import pytest

from rmactors.agent.imports import formats
from rmactors.agent.imports.formats import CannotRead, read


@pytest.mark.parametrize(
    ("text", "ending", "said"),
    [
        ("a: [1", ".yaml", "cannot be read: while parsing"),
        ("a {{ b }}", ".yml", "holds no table of settings"),
        ("!!python/object/apply:os.system [true]", ".yaml", "cannot be read: could not determine a constructor"),
        ("[1]", ".json", "holds no table of settings"),
        ("{", ".json", "cannot be read: Expecting property name"),
        ("a {", ".hcl", "cannot be read: Unexpected"),
        ("{{ template }}", ".toml", "cannot be read: Invalid"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, ending: str, said: str) -> None:
    with pytest.raises(CannotRead) as raised:
        read(text, ending)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(("ending", "text"), [(".yml", "a: 1"), (".hcl", "a = 1")])
def test_without_the_extra_the_message_names_it(ending: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name in ("yaml", "hcl2"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    assert read(text, ending) == {"a": 1}
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CannotRead, match=r"needs another package: pip install 'rmactors\[import\]'"):
        formats.read(text, ending)
