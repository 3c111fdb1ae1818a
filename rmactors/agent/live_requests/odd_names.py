"""Paths whose bytes are no text: restic shows each such byte as U+FFFD in JSON, and takes none of these for it.

The real name is looked up in the folder above, which restic shows byte for byte where it is not asked for JSON.
"""

import os
from typing import Final

from rmactors.agent.live_requests.reader import Reader
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.live_requests.whose import failed

MARK: Final = "\N{REPLACEMENT CHARACTER}"


async def real_path(reader: Reader, snapshot: str, path: str) -> str:
    """The path as it is in the snapshot, its bytes as Python writes them in text. One call of restic for each name
    with a mark. Raises Refused if there is none, or if several look alike.
    """
    real = b""
    for name in path.strip("/").split("/"):
        if MARK not in name:
            real += b"/" + name.encode()
            continue
        run = await reader.ask("ls", "--no-lock", "--", snapshot, os.fsdecode(real or b"/"))
        if run.verdict.status != "succeeded":
            raise failed(run)
        alike = [found for found in names_in(run.answer, real) if as_shown(found) == name]
        if not alike:
            raise Refused("not_found", "there is no such folder in this snapshot")
        if len(alike) > 1:
            words = "several names in this folder differ only in bytes that are no text, and cannot be told apart here"
            raise Refused("invalid", f"{words}; `restic mount` on the host shows them")
        real += b"/" + alike[0]
    return os.fsdecode(real)


def names_in(answer: bytes, folder: bytes) -> list[bytes]:
    """The names in a folder (without a slash at its end) that `restic ls` shows. They may hold line ends."""
    _, *rest = (b"\n" + answer.removesuffix(b"\n")).split(b"\n" + folder + b"/")
    return rest


def as_shown(name: bytes) -> str:
    """The name as restic writes it into JSON: U+FFFD for each byte that is no text."""
    found = name.decode("utf-8", "surrogateescape")
    return "".join(MARK if "\udc80" <= character <= "\udcff" else character for character in found)
