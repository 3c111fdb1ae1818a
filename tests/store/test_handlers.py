"""Every write has one handler, and its place is known by its name."""

from typing import get_args

from rmactors.server.messages.writes import Write
from rmactors.server.store import writer
from rmactors.server.store.transaction import HANDLERS


def _subject(thing: object) -> str:
    return thing.__module__.rpartition(".")[2]


def test_the_store_applies_each_write_in_the_module_of_its_messages_name() -> None:
    assert writer.HANDLERS is HANDLERS
    assert {write: _subject(apply) for write, apply in HANDLERS.items()} == {
        write: _subject(write) for write in get_args(Write)
    }
