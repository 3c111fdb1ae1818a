"""A workflow made from the template "Send webhook alerts to a channel", as Microsoft's documentation has it.

https://learn.microsoft.com/en-us/azure/logic-apps/logic-apps-http-endpoint, https://adaptivecards.io/explorer and
https://learn.microsoft.com/en-us/connectors/teams. A real one accepts a card and refuses it later, unseen; this one
says so at once.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from markdown_it import MarkdownIt

from tests.channels.receivers import Request, Stream, replies

SIG = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
PATH = "/powerautomate/automations/direct/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke"
QUERY = f"api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIG}"
_ELEMENTS = {
    "TextBlock": {"type", "text", "wrap", "weight", "size", "color", "id", "style", "isSubtle", "spacing"},
    "Container": {"type", "items", "style", "bleed"},
    "FactSet": {"type", "facts"},
    "Action.OpenUrl": {"type", "title", "url"},
}
_STYLES = {"default", "emphasis", "good", "attention", "warning", "accent"}
_CARD = {"$schema", "type", "version", "msteams", "body", "actions"}
_MARKDOWN = MarkdownIt("commonmark").enable("strikethrough")


class Refused(Exception):
    pass


class StrictTeams:
    """Keeps what people would see: each text read as markdown, and what of it was more than text."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.formatted: list[str] = []

    async def __call__(self, stream: Stream, request: Request) -> None:
        try:
            self.take(request)
        except Refused as refusal:
            status, code, message = refusal.args
            body = json.dumps({"error": {"code": code, "message": message}}).encode()
            await replies(status, body, content_type="application/json; charset=utf-8")(stream, request)
        else:
            await replies("202 Accepted")(stream, request)

    def take(self, request: Request) -> None:
        method, target, _ = request.line.split()
        parts = urlsplit(target)
        if parts.path != PATH:
            raise Refused("404 Not Found", "WorkflowNotFound", "The workflow could not be found.")
        if parse_qs(parts.query).get("sig") != [SIG]:
            raise Refused("401 Unauthorized", "AuthorizationFailed", "The authentication credentials are not valid.")
        if method != "POST" or request.headers.get("content-type") != "application/json; charset=utf-8":
            raise Refused("400 Bad Request", "TriggerInputSchemaMismatch", "The input body is not of type JSON.")
        text = request.body.decode("utf-8")
        if max(len(request.body), len(text.encode("utf-16-le"))) > 28 * 1024:
            raise Refused("413 Request Entity Too Large", "RequestEntityTooLarge", "Request Entity too large")
        message = json.loads(text)
        if message.get("type") != "message" or not isinstance(message.get("attachments"), list):
            raise Refused("400 Bad Request", "TriggerInputSchemaMismatch", "attachments must be an array.")
        for attachment in message["attachments"]:
            if attachment["contentType"] != "application/vnd.microsoft.card.adaptive":
                raise Refused("400 Bad Request", "TriggerInputSchemaMismatch", "no card")
            self._take_card(attachment["content"])

    def _take_card(self, card: dict[str, Any]) -> None:
        if card["type"] != "AdaptiveCard" or not card.keys() <= _CARD or card["version"] > "1.5":
            raise Refused("400 Bad Request", "BadRequest", "Property 'type' must be 'AdaptiveCard'")
        assert "entities" not in card["msteams"], "these would mention people"
        self.shown.append({"texts": [], "facts": [], "links": [], "styles": []})
        for each in [*card["body"], *card["actions"]]:
            self._take_element(each)

    def _take_element(self, each: dict[str, Any]) -> None:
        if not each.keys() <= _ELEMENTS.get(each["type"], set()):
            raise Refused("400 Bad Request", "BadRequest", f"a card has no {each['type']} with {sorted(each)}")
        shown = self.shown[-1]
        match each["type"]:
            case "TextBlock":
                shown["texts"].append(self._read(each["text"]))
            case "FactSet":
                shown["facts"] += [(self._read(fact["title"]), self._read(fact["value"])) for fact in each["facts"]]
            case "Container":
                assert each["style"] in _STYLES
                shown["styles"].append(each["style"])
                for item in each["items"]:
                    self._take_element(item)
            case _:
                assert re.match(r"https?://[^/]", each["url"])
                shown["links"].append((each["title"], each["url"]))

    def _read(self, text: str) -> str:
        """The paragraphs of a text, and its other markup noted."""
        if not text.strip():
            raise Refused("400 Bad Request", "BadRequest", "Property 'text' must not be empty")
        paragraphs = []
        for token in _MARKDOWN.parse(text):
            if token.type == "inline":
                paragraphs.append("".join(child.content for child in token.children or []))
                self.formatted += [child.type for child in token.children or [] if child.type != "text"]
            elif token.type not in ("paragraph_open", "paragraph_close"):
                self.formatted.append(token.type)
        return "\n".join(paragraphs)
