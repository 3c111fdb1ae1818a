"""A notification as a mail. Pure: the caller hands it to a server.

All mails about one alert form one thread: the raise has the alert's own Message-ID, whatever follows has one of
its own and points to the raise. Both are the same on every retry, so that a mail server can drop a repetition.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final
from unicodedata import east_asian_width, normalize
from urllib.parse import urlsplit

from rmactors import PRODUCT
from rmactors.common import clock
from rmactors.common.text import lines
from rmactors.common.vocabulary import Event
from rmactors.server.channels.mail.addresses import needs_smtputf8, parse_address, parse_addresses
from rmactors.server.channels.net.hostnames import ascii_host, bracketed
from rmactors.server.channels.request import one_line
from rmactors.server.channels.telling import ENDINGS, digest_title
from rmactors.server.messages.notifications import Notification

MAX_SUBJECT_CHARACTERS: Final = 200
_LONGEST_LINE: Final = 990  # of a mail; the limit is 998 bytes
_FACTS: Final = ("raisedat", "severity", "host", "channel", "kind", "link", "by", "note")
"""The names before the facts, as `_names_a_fact` compares them."""
_NAMED: Final = re.compile(r"(.{1,40}?)[:\u02d0\u02f8\u0589\u05c3\u2236\ua789]", re.DOTALL)
_OPENS_THREAD: Final[tuple[Event, ...]] = ("alert.raised", "alert.digest", "alert.test")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready to be handed over. Addresses are those of the envelope."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    smtputf8: bool


def render(notification: Notification, config: Mapping[str, Any], base_url: str) -> Mail:
    """The mail about a notification, lines ended by CRLF."""
    sender = parse_address(config["from"])
    to = parse_addresses(config["to"])
    host = thread_host(base_url)
    utf8 = needs_smtputf8((sender, *to))
    mail = EmailMessage(_UTF8_MAIL if utf8 else _MAIL)
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = subject(notification)
    mail["Date"] = format_datetime(clock.to_datetime(notification.occurred_at).replace(microsecond=0))
    thread = f"<{notification.alert_id}@{host}>"
    if notification.event in _OPENS_THREAD and not notification.again:
        mail["Message-ID"] = thread
    else:
        mail["Message-ID"] = f"<{notification.alert_id}.{notification.delivery_id}@{host}>"
        mail["In-Reply-To"] = thread
        mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    content = text(notification)
    short = all(len(line) <= _LONGEST_LINE for line in content.splitlines())
    if content.isascii() and short:
        mail.set_content(content, cte="7bit")
    else:
        mail.set_content(content)
    return Mail(sender.addr_spec, recipients(config), mail.as_bytes(), utf8)


def recipients(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of the envelope, each once."""
    return tuple(dict.fromkeys(address.addr_spec for address in parse_addresses(config["to"])))


def subject(notification: Notification) -> str:
    """`[restic-manager] [warning] nas1: backup_failed`, and at its end what became of it."""
    ending = ENDINGS.get(notification.event, "")
    if notification.event == "alert.digest":
        line = f"[{PRODUCT}] {digest_title(notification)}"
    else:
        line = one_line(f"[{PRODUCT}] [{notification.severity}] {notification.host_name}: {notification.kind}")
    most = MAX_SUBJECT_CHARACTERS - len(ending)
    return (line if len(line) <= most else line[: most - 1] + "…") + ending


def text(notification: Notification) -> str:
    """The mail's text: the message, then the facts about it, a line each.

    There are words of a host in the message. A line of it that looks like one of the facts is marked as quoted.
    """
    facts = [("Link", notification.link)]
    if notification.event != "alert.digest":
        facts = [
            ("Raised at", clock.to_rfc3339(notification.raised_at)),
            ("Severity", notification.severity),
            (notification.about, notification.host_name),
            ("Kind", notification.kind),
            *facts,
        ]
    if notification.event in ENDINGS:
        facts += [("By", notification.actor or ""), ("Note", notification.note or "")]
    stated = [f"{name}: {one_line(value)}" for name, value in facts if value]
    return f"{quoted(notification)}\n\n" + "\n".join(stated) + "\n"


def quoted(notification: Notification) -> str:
    """The message, printable, with `> ` before each line that could be taken for one of the facts below it."""
    found = []
    for number, line in enumerate(lines(notification.message).split("\n")):
        # One of ours may begin with a name that a host chose.
        listed = "- " if notification.event == "alert.digest" else "- [" if notification.group else ""
        ours = number == 0 or (listed and line.startswith(listed))
        doubtful = _names_a_fact(line) if ours else bool(_name(line))
        found.append(f"> {line}" if doubtful else line)
    return "\n".join(found)


def _name(line: str) -> str:
    """What stands before the first colon, or what looks like one, near the beginning; empty if nothing does."""
    found = _NAMED.match(normalize("NFKC", line))
    return found[1] if found is not None else ""


def _names_a_fact(line: str) -> bool:
    """Whether the line begins as a fact does, in these letters or in others of that width, which may look like them."""
    name = "".join(filter(str.isalnum, _name(line).casefold()))
    return any(
        len(name) == len(fact) and all(n == f or _looks_like_any(n) for n, f in zip(name, fact, strict=True))
        for fact in _FACTS
    )


def _looks_like_any(letter: str) -> bool:
    return not letter.isascii() and east_asian_width(letter) not in "WF"


def thread_host(base_url: str) -> str:
    """The right side of Message-IDs: the base URL's host name in ASCII, an address in brackets, without port."""
    try:
        return bracketed(ascii_host(urlsplit(base_url).hostname or ""))
    except ValueError:
        return "localhost"


class _Mail(policy.EmailPolicy):
    """The standard library's policy for sending, save that ids stay on one line.

    Folded, an id longer than a line would come out as an encoded word, which no mail client takes for an id.
    """

    _WHOLE = ("message-id", "in-reply-to", "references")

    def fold(self, name: str, value: str) -> str:
        if name.lower() in self._WHOLE:
            return f"{name}: {value}\r\n"
        folded: str = super().fold(name, value)
        return folded

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() in self._WHOLE:
            return self.fold(name, value).encode("ascii")
        return super().fold_binary(name, value)


_MAIL: Final = _Mail(linesep="\r\n", max_line_length=78)
_UTF8_MAIL: Final = _MAIL.clone(utf8=True)
