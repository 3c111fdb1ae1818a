"""Discord's webhooks as their documentation has them: what Discord refuses, this refuses, in Discord's words.

https://discord.com/developers/docs/resources/webhook#execute-webhook,
https://discord.com/developers/docs/resources/message#embed-object-embed-limits and, for an embed's `url`, what programs
whose base URL has a host without a dot were told.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.channels.receivers import Request, Stream, replies

ID = "223704706495545344"
TOKEN = "3d89bb7572e0fb30d8128367b3b1b44fecd1726de135cbe28a41f8b2f777c372ba2939e72279b94526ff"
PATH = f"/api/webhooks/{ID}/{TOKEN}"
_KEYS = {"content", "username", "avatar_url", "tts", "embeds", "allowed_mentions", "thread_name", "flags"}
_EMBED_KEYS = {"title", "description", "url", "timestamp", "color", "footer", "image", "thumbnail", "author", "fields"}
_LINK = re.compile(r"(?<!\\)\[([^\]\\\[]+)\]\((https?://[^)\s]+)\)")
_FORMATS = re.compile(r"[*_~`|<>\[\]]|https?://|^\s*(#{1,3}|-#|-) |@(everyone|here)", re.MULTILINE)


class Refused(Exception):
    """Status, code, message, and the fields at fault."""


def form_error(path: str, said: str) -> Refused:
    errors: dict[str, Any] = {"_errors": [{"code": "BASE_TYPE_BAD_LENGTH", "message": said}]}
    for name in reversed(path.split(".")):
        errors = {name: errors}
    return Refused("400 Bad Request", 50035, "Invalid Form Body", errors)


def length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


class StrictDiscord:
    """Keeps what people would see, the links, who was notified, and what of a text was formatted."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.notified: list[str] = []
        self.formatted: list[str] = []

    async def __call__(self, stream: Stream, request: Request) -> None:
        try:
            self.take(request)
        except Refused as refusal:
            status, code, message, *errors = refusal.args
            body = {"message": message, "code": code} | ({"errors": errors[0]} if errors else {})
            await replies(status, json.dumps(body).encode(), content_type="application/json")(stream, request)
            return
        if parse_qs(urlsplit(request.line.split()[1]).query).get("wait") == ["true"]:
            body = {"id": "1", "type": 0, "embeds": self.shown[-1:]}
            await replies("200 OK", json.dumps(body).encode(), content_type="application/json")(stream, request)
        else:
            await replies("204 No Content")(stream, request)

    def take(self, request: Request) -> None:
        method, target, _ = request.line.split()
        path = urlsplit(target).path
        if method != "POST" or not path.startswith(f"/api/webhooks/{ID}/"):
            raise Refused("404 Not Found", 10015, "Unknown Webhook")
        if path != PATH:
            raise Refused("401 Unauthorized", 50027, "Invalid Webhook Token")
        if request.headers.get("content-type") != "application/json":
            raise Refused("400 Bad Request", 50006, "Cannot send an empty message")
        try:
            message = json.loads(request.body.decode("utf-8"))
        except ValueError:
            raise Refused("400 Bad Request", 50109, "The request body contains invalid JSON.") from None
        assert message.keys() <= _KEYS, "Discord would overlook it: a slip"
        if not message.get("content") and not message.get("embeds"):
            raise Refused("400 Bad Request", 50006, "Cannot send an empty message")
        self._take_message(message)

    def _take_message(self, message: dict[str, Any]) -> None:
        _fits("content", message.get("content", ""), 2000, least=0)
        _fits("username", message.get("username", "x"), 80)
        if len(message.get("embeds", [])) > 10:
            raise form_error("embeds", "Must be 10 or fewer in length.")
        if message.get("allowed_mentions", {}).get("parse", ["everyone"]) != []:
            self.notified += re.findall(r"@everyone|@here|<@!?[0-9]+>|<@&[0-9]+>", message.get("content", ""))
        total = sum(self._take_embed(f"embeds.{n}", each) for n, each in enumerate(message["embeds"]))
        if total > 6000:
            raise form_error("embeds", "Embed size exceeds maximum size of 6000")

    def _take_embed(self, path: str, embed: dict[str, Any]) -> int:
        """Its size."""
        assert embed.keys() <= _EMBED_KEYS
        fields = embed.get("fields", [])
        if len(fields) > 25:
            raise form_error(f"{path}.fields", "Must be 25 or fewer in length.")
        if "url" in embed and "." not in (urlsplit(embed["url"]).hostname or ""):
            raise form_error(f"{path}.url", "Not a well formed URL.")
        if not 0 <= embed["color"] <= 0xFFFFFF:
            raise form_error(f"{path}.color", "int value should be less than or equal to 16777215.")
        size = _fits(f"{path}.title", embed["title"], 256) + _fits(f"{path}.description", embed["description"], 4096)
        for n, each in enumerate(fields):
            size += _fits(f"{path}.fields.{n}.name", each["name"], 256)
            size += _fits(f"{path}.fields.{n}.value", each["value"], 1024)
        self.shown.append(
            {
                "title": self._read(embed["title"]),
                "text": self._read(_LINK.sub(r"\1", embed["description"])),
                "links": _LINK.findall(embed["description"]),
                "color": embed["color"],
                "fields": [(each["name"], self._read(each["value"])) for each in fields],
            }
        )
        return size

    def _read(self, text: str) -> str:
        """What is shown of a text. A backslash before any sign shows the sign."""
        bare = re.sub(r"\\[^0-9A-Za-z\s]", "\0", text)
        self.formatted += [found[0] for found in _FORMATS.finditer(bare)]
        return re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text)


def _fits(path: str, text: str, most: int, least: int = 1) -> int:
    size = length(text.strip())
    if size < least:
        raise form_error(path, "This field is required")
    if size > most:
        raise form_error(path, f"Must be {most} or fewer in length.")
    return size
