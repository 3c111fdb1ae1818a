"""A notification as a mail. Pure: the caller hands it to a server.

All mails about one alert form one thread: the raise has the alert's own Message-ID, whatever follows has one of
its own and points to the raise. Both are the same on every retry, so that a mail server can drop a repetition.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final
from unicodedata import east_asian_width, normalize
from urllib.parse import urlsplit

from rmactors import PRODUCT
from rmactors.common import clock
from rmactors.common.text import lines
from rmactors.common.vocabulary import Event
from rmactors.server.channels import telling
from rmactors.server.channels.base import ChannelSpec
from rmactors.server.channels.mail import headers
from rmactors.server.channels.mail import html as html_part
from rmactors.server.channels.mail.addresses import needs_smtputf8, parse_address, parse_addresses
from rmactors.server.channels.mail.helo import is_full_name
from rmactors.server.channels.net.hostnames import ascii_host, bracketed
from rmactors.server.channels.request import one_line
from rmactors.server.messages.notifications import Notification

MAX_SUBJECT_CHARACTERS: Final = 200
_LONGEST_LINE: Final = 990  # of a mail; the limit is 998 bytes
_NO_DOMAIN: Final = "localhost"
"""Behind the name of a list whose owner has no domain (RFC 2919, 2)."""
_OF_THE_END: Final = ("By", "Note")
_FACTS: Final = (
    "raisedat", "severity", "host", "channel", "kind", "link", "by", "note",
    "".join(filter(str.isalpha, html_part.ACT)).lower(),
)  # fmt: skip
"""The names before the facts, as `_names_a_fact` compares them."""
_NAMED: Final = re.compile(r"(.{1,60}?)[:\u02d0\u02f8\u0589\u05c3\u2236\ua789]", re.DOTALL)
_OPENS_THREAD: Final[tuple[Event, ...]] = ("alert.raised", "alert.digest", "alert.test")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready to be handed over. Addresses are those of the envelope.

    smtputf8  an address in it has letters beyond ASCII before the @: the server must know them
    in_ascii  then: the mail for a server that does not, for those whom it can reach; None if that is nobody
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    smtputf8: bool
    in_ascii: "Mail | None" = None


def render(notification: Notification, spec: ChannelSpec, base_url: str) -> Mail:
    """The mail about a notification, lines ended by CRLF."""
    sender = parse_address(spec.config["from"])
    to = parse_addresses(spec.config["to"])
    whole = _mail(notification, spec.id, base_url, sender, to)
    if not whole.smtputf8:
        return whole
    reached = [address for address in to if not needs_smtputf8([address])]
    if not reached or needs_smtputf8([sender]):
        return whole
    return replace(whole, in_ascii=_mail(notification, spec.id, base_url, sender, reached))


def _mail(notification: Notification, channel_id: str, base_url: str, sender: Address, to: Sequence[Address]) -> Mail:
    mail = EmailMessage(_MAIL)
    for name, value in _headers(notification, channel_id, thread_host(base_url), sender, to):
        mail[name] = value
    plain, html = text(notification), html_part.html(notification)
    mail.set_content(plain, cte=_encoding(plain))
    mail.add_alternative(html, subtype="html", cte=_encoding(html))
    mail.set_boundary(_boundary(notification.delivery_id, plain + html))
    return Mail(sender.addr_spec, _envelope(to), mail.as_bytes(), needs_smtputf8((sender, *to)))


def _headers(
    notification: Notification, channel_id: str, host: str, sender: Address, to: Sequence[Address]
) -> Iterator[tuple[str, str]]:
    """Names and values as they go out."""
    yield "From", headers.addresses("From", [sender])
    yield "To", headers.addresses("To", to)
    yield "Subject", headers.text("Subject", subject(notification))
    yield "Date", format_datetime(clock.to_datetime(notification.occurred_at).replace(microsecond=0))
    thread = f"<{notification.alert_id}@{host}>"
    if notification.event in _OPENS_THREAD and not notification.again:
        yield "Message-ID", thread
    else:
        yield "Message-ID", f"<{notification.alert_id}.{notification.delivery_id}@{host}>"
        yield "In-Reply-To", thread
        yield "References", thread
    yield "Auto-Submitted", "auto-generated"
    yield "X-Auto-Response-Suppress", "All"
    yield "List-Id", f"{PRODUCT} <{channel_id.lower()}.{host if is_full_name(host) else _NO_DOMAIN}>"
    about = {
        "Event": notification.event, "Severity": notification.severity, "Kind": notification.kind,
        "Host": notification.host_name, "Alert": notification.alert_id,
    }  # fmt: skip
    for what, said in about.items():
        if line := telling.shortened(one_line(said), MAX_SUBJECT_CHARACTERS):
            name = f"X-Restic-Manager-{what}"
            yield name, headers.text(name, line)


def _encoding(content: str) -> str | None:
    """As it is where that can be; else as the standard library finds shortest."""
    fits = content.isascii() and all(len(line) <= _LONGEST_LINE for line in content.splitlines())
    return "7bit" if fits else None


def _boundary(delivery_id: str, content: str) -> str:
    """What parts the two contents, the same on each retry. It is in neither of them."""
    found = f"=_{delivery_id}"
    while found in content:
        found += "_"
    return found


def _envelope(to: Iterable[Address]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address.addr_spec for address in to))


def recipients(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of the envelope, each once."""
    return _envelope(parse_addresses(config["to"]))


def subject(notification: Notification) -> str:
    """`[restic-manager] [warning] nas1: backup_failed`, and at its end what became of it."""
    before = f"[{PRODUCT}] "
    return before + telling.title(notification, MAX_SUBJECT_CHARACTERS - len(before))


def text(notification: Notification) -> str:
    """The mail's text: the message, then the facts about it, a line each.

    There are words of a host in the message. A line of it that looks like one of the facts is marked as quoted.
    """
    facts = telling.facts(notification) if notification.event != "alert.digest" else []  # its Date says when
    stated = [fact for fact in facts if fact[0] not in _OF_THE_END]
    stated += [("Link", notification.link), (html_part.ACT, notification.act_link)]
    stated += [fact for fact in facts if fact[0] in _OF_THE_END]
    said = [f"{name}: {one_line(value)}" for name, value in stated if value]
    return f"{quoted(notification)}\n\n" + "\n".join(said) + "\n"


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
    """The standard library's policy for sending, for headers that are folded and encoded already.

    Its own to fold are those alone that it makes itself, about the content.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        if _is_ready(name):
            return name, value
        stored: tuple[str, Any] = super().header_store_parse(name, value)
        return stored

    def fold(self, name: str, value: str) -> str:
        if _is_ready(name):
            return f"{name}: {value}\r\n"
        folded: str = super().fold(name, value)
        return folded

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode()


def _is_ready(name: str) -> bool:
    return not name.lower().startswith(("content-", "mime-"))


_MAIL: Final = _Mail(linesep="\r\n", max_line_length=78, cte_type="7bit")
