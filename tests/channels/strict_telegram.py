"""Telegram's Bot API as its documentation has it: what it refuses, this refuses, in its words.

https://core.telegram.org/bots/api#sendmessage and https://core.telegram.org/bots/api#html-style
"""

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from tests.channels.receivers import Request, Stream, replies

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
CHAT = -1001234567890
TOPIC = 42
_TAGS = {"b", "strong", "i", "em", "u", "s", "code", "pre", "a", "blockquote", "tg-spoiler"}
_KEYS = {"chat_id", "text", "parse_mode", "link_preview_options", "disable_notification", "message_thread_id"}


class Refused(Exception):
    pass


class _Html(HTMLParser):
    """Text and entities of a message in HTML mode, as strict as Telegram's own reader."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=False)
        self.pieces: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._url = ""
        self.feed(markup)
        self.close()
        if self._open:
            raise Refused(f"Bad Request: can't parse entities: Can't find end tag corresponding to {self._open[-1]}")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            raise Refused(f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        if {"code", "pre"} & set(self._open):
            raise Refused("Bad Request: can't parse entities: nested in code")
        self._open.append(tag)
        self._url = dict(attributes).get("href") or self._url

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise Refused("Bad Request: can't parse entities: Unmatched end tag")

    def handle_data(self, data: str) -> None:
        if "<" in data or "&" in data:
            raise Refused("Bad Request: can't parse entities: Unsupported start tag")
        self.pieces.append((data, tuple(self._open)))
        if "a" in self._open and "." in (urlsplit(self._url).hostname or ""):
            self.links.append((data, self._url))

    def handle_entityref(self, name: str) -> None:
        known = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
        self.pieces.append((known.get(name, f"&{name};"), tuple(self._open)))

    def handle_charref(self, name: str) -> None:
        self.pieces.append((chr(int(name)), tuple(self._open)))

    def handle_comment(self, data: str) -> None:
        raise Refused("Bad Request: can't parse entities: Unsupported start tag")

    handle_decl = handle_pi = unknown_decl = handle_comment


class StrictTelegram:
    """Keeps what people would see, the links, and who was mentioned."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.mentioned: list[str] = []

    async def __call__(self, stream: Stream, request: Request) -> None:
        try:
            text = self.take(request)
        except Refused as refusal:
            said = str(refusal)
            status = {"Unauthorized": "401 Unauthorized", "Not Found": "404 Not Found"}.get(said, "400 Bad Request")
            body: dict[str, Any] = {"ok": False, "error_code": int(status[:3]), "description": said}
        else:
            status = "200 OK"
            body = {"ok": True, "result": {"message_id": 1, "chat": {"id": CHAT}, "date": 1, "text": text}}
        await replies(status, json.dumps(body).encode(), content_type="application/json")(stream, request)

    def take(self, request: Request) -> str:
        """The text as it is shown."""
        method, path, _ = request.line.split()
        if not re.fullmatch(r"/bot[0-9]+:[A-Za-z0-9_-]+/sendMessage", path) or method != "POST":
            raise Refused("Not Found")
        if path != f"/bot{TOKEN}/sendMessage":
            raise Refused("Unauthorized")
        if request.headers.get("content-type") != "application/json":
            raise Refused("Bad Request: message text is empty")
        message = json.loads(request.body.decode("utf-8"))
        assert message.keys() <= _KEYS, "Telegram would overlook it: a slip"
        if message["chat_id"] not in (CHAT, "@my_backups"):
            raise Refused("Bad Request: chat not found")
        if message.get("message_thread_id", TOPIC) != TOPIC:
            raise Refused("Bad Request: message thread not found")
        if message["parse_mode"] != "HTML":
            raise Refused("Bad Request: unsupported parse_mode")
        return self._show(message)

    def _show(self, message: dict[str, Any]) -> str:
        read = _Html(message["text"])
        text = "".join(piece for piece, _ in read.pieces).strip()
        if not text:
            raise Refused("Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            raise Refused("Bad Request: message is too long")
        named = "".join("\0" if {"code", "pre"} & set(tags) else piece for piece, tags in read.pieces)
        self.mentioned += re.findall(r"(?<!\w)@[A-Za-z]\w{2,}", named)
        assert message["link_preview_options"] == {"is_disabled": True}
        self.shown.append({"text": text, "links": read.links, "quiet": message["disable_notification"]})
        return text
