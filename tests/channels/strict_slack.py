"""Slack's incoming webhooks as their documentation has them: what Slack refuses, this refuses, in Slack's words.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/messaging/formatting-message-text
"""

import html
import json
import re
from typing import Any

from tests.channels.receivers import Request, Stream, replies

PATH = "/services/T0AAAAAAA/B0BBBBBBB/cccccccccccccccccccccccc"
_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]+)>")
_BLOCKS = {"header": {"type", "text"}, "section": {"type", "text"}, "context": {"type", "elements"}}
"""Of each kind of block, the keys that are used here; all of them are required then."""


class Refused(Exception):
    pass


def length(text: str) -> int:
    """Characters as Slack's own JavaScript counts them."""
    return len(text.encode("utf-16-le")) // 2


class StrictSlack:
    """Keeps what people would see: the header, the texts as they are read, the links, and who was mentioned."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.mentioned: list[str] = []

    async def __call__(self, stream: Stream, request: Request) -> None:
        try:
            self.take(request)
        except Refused as refusal:
            status, word = refusal.args
            await replies(status, word.encode(), content_type="text/html")(stream, request)
        else:
            await replies("200 OK", b"ok", content_type="text/html")(stream, request)

    def take(self, request: Request) -> None:
        method, path, _ = request.line.split()
        if path != PATH:
            raise Refused("404 Not Found", "no_service" if path.startswith("/services/") else "no_team")
        if method != "POST" or not request.headers.get("content-type", "").startswith("application/json"):
            raise Refused("400 Bad Request", "invalid_payload")
        try:
            message = json.loads(request.body.decode("utf-8"))
        except ValueError:
            raise Refused("400 Bad Request", "invalid_payload") from None
        if not message.get("text") and not message.get("blocks"):
            raise Refused("400 Bad Request", "no_text")
        blocks = [
            *message.get("blocks", []),
            *(block for each in message.get("attachments", []) for block in each["blocks"]),
        ]
        if len(blocks) > 50:
            raise Refused("400 Bad Request", "invalid_blocks")
        shown: dict[str, Any] = {"text": self._read(message["text"]), "links": []}
        shown["colours"] = [each["color"] for each in message.get("attachments", [])]
        for block in blocks:
            self._take_block(block, shown)
        self.shown.append(shown)

    def _take_block(self, block: dict[str, Any], shown: dict[str, Any]) -> None:
        if block.keys() != _BLOCKS.get(block.get("type", "")):
            raise Refused("400 Bad Request", "invalid_blocks")
        match block["type"]:
            case "header":
                self._check(block["text"], 150, {"plain_text"})
                shown["header"] = block["text"]["text"]  # nothing in a plain text is parsed
            case "section":
                self._check(block["text"], 3000, {"plain_text", "mrkdwn"})
                shown.setdefault("sections", []).append(self._read(block["text"]["text"], shown["links"]))
            case "context":
                if not 1 <= len(block["elements"]) <= 10:
                    raise Refused("400 Bad Request", "invalid_blocks")
                for element in block["elements"]:
                    self._check(element, 2000, {"plain_text", "mrkdwn"})
                    shown.setdefault("context", []).append(self._read(element["text"]))

    def _check(self, text: dict[str, Any], most: int, types: set[str]) -> None:
        allowed = {"type", "text", "verbatim"} if text["type"] == "mrkdwn" else {"type", "text", "emoji"}
        if text["type"] not in types or not text.keys() <= allowed or not text["text"].strip():
            raise Refused("400 Bad Request", "invalid_blocks")
        if length(text["text"]) > most:
            raise Refused("400 Bad Request", "invalid_blocks")

    def _read(self, text: str, links: list[tuple[str, str]] | None = None) -> str:
        """The text as people read it. What stands in angle brackets is a link, or mentions somebody."""
        if links is not None:
            links += [(html.unescape(found[2]), html.unescape(found[1])) for found in _LINK.finditer(text)]
        plain = _LINK.sub(r"\2", text)
        self.mentioned += re.findall(r"<[^>]*>?", plain)
        return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
