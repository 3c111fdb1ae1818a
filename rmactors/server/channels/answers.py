"""What a receiver's answer means: delivered, try again (perhaps not before a time), or never again. Pure.

The words of the receiver are shown to operators: cut short, printable, and without the channel's own secrets.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Literal

import httpx

from rmactors.common import clock
from rmactors.common.text import squeezed
from rmactors.server.channels.config import MASK

Verdict = Literal["delivered", "retry", "dead"]

MAX_WORDS: Final = 240
_PERHAPS_ANOTHERS: Final = frozenset({*range(300, 400), 401, 403, 404, 405, 407, 421})
"""What an ingress, a proxy, a filter or a captive portal may say in the receiver's place. Others, such as 400, 410, 413
and 422, are about the message or meant for good."""
_SIGNED_LINK: Final = re.compile(r"(act(?:\\?/|%2[Ff]))[0-9A-Za-z_-]{20,}")
"""The token of a link to act on an alert: a receiver may repeat what it was sent, and more people read what it says
than may act. Also as JSON and as URLs write it; a shorter piece of one is good for nothing."""
_LONGEST_WAIT: Final = 366 * clock.DAY  # keeps nonsense out of the database; the retry limit comes long before


@dataclass(frozen=True, slots=True)
class Judgement:
    """`error` is None if all is well; `retry_at` in microseconds; `in_doubt` as in `Attempt`."""

    verdict: Verdict
    error: str | None = None
    retry_at: int | None = None
    in_doubt: bool = False


def judge_http(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """What an HTTP answer means that came at `at` (microseconds), and of whose body this was read."""
    status = answer.status_code
    if 200 <= status < 300:
        return Judgement("delivered")
    error = status_line(answer)
    in_doubt = status in _PERHAPS_ANOTHERS
    if 300 <= status < 400:
        where = answer.headers.get("location", "")
        said = f"{error}: redirects are not followed" + (f" (to {where})" if where else "")
        return Judgement("dead", said, in_doubt=in_doubt)
    if words := _body_words(answer, body):
        error = f"{error}: {words}"
    if status in (408, 425, 429) or not 400 <= status < 500:
        wait = _retry_after(answer, at) if status in (429, 503) else None
        return Judgement("retry", error, wait)
    return Judgement("dead", error, in_doubt=in_doubt)


def own_refusal(answer: httpx.Response, said: str) -> Judgement:
    """A refusal in words that only the receiver itself has: never again."""
    return Judgement("dead", _with_words(answer, said))


def not_of(receiver: str, answer: httpx.Response) -> Judgement:
    """A success that the receiver does not give: something in between may have answered in its place."""
    said = f"{receiver} does not answer so: is it the right URL, or does something in between answer?"
    return Judgement("dead", f"{status_line(answer)}: {said}", in_doubt=True)


def later(answer: httpx.Response, said: str, seconds: object, at: int) -> Judgement:
    """A receiver asks to wait for so many seconds, whole or not; or for what its header says, if this is no number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < _LONGEST_WAIT:
        return Judgement("retry", _with_words(answer, said), _retry_after(answer, at))
    wait = min(math.ceil(seconds * clock.SECOND), _LONGEST_WAIT)
    return Judgement("retry", _with_words(answer, said), at + wait)


def status_line(answer: httpx.Response) -> str:
    """`404 Not Found`"""
    return f"{answer.status_code} {_phrase(answer.status_code)}".rstrip()


def text_of(value: object) -> str:
    """A field of an answer that is meant for people; empty where it is missing or no text."""
    return value.strip() if isinstance(value, str) else ""


def texts_of(values: object) -> str:
    """The first five texts of a list, in one line; empty where it is none."""
    found = map(text_of, values[:5]) if isinstance(values, list) else ()
    return "; ".join(filter(None, found))


def words(text: str, secrets: Sequence[str] = (), most: int = MAX_WORDS) -> str:
    """The text on one line, printable, without these secrets and without signed links, at most that long."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _SIGNED_LINK.sub(rf"\1{MASK}", text)
    text = squeezed(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _with_words(answer: httpx.Response, said: str) -> str:
    return f"{status_line(answer)}: {said}" if said else status_line(answer)


def _body_words(answer: httpx.Response, body: bytes) -> str:
    """What the body says, without markup: of JSON the field that is meant for people."""
    found = json_object(body)
    for name in ("error", "detail", "message", "title"):
        if isinstance(found.get(name), str) and found[name].strip():
            return str(found[name])
    text = body.decode(errors="replace")
    if "html" in answer.headers.get("content-type", ""):
        text = re.sub(r"<(style|script)\b.*?(</\1>|\Z)|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return text.strip()


def json_object(body: bytes) -> dict[str, Any]:
    """The body if it is a JSON object, else an empty one."""
    if not body.lstrip().startswith(b"{"):
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after(answer: httpx.Response, at: int) -> int | None:
    """Seconds or an HTTP date, the last one given, as microseconds since the epoch; None if it is neither, or past."""
    given = answer.headers.get_list("retry-after")
    if not given:
        return None
    text = given[-1].strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        wanted = at + int(text) * clock.SECOND
    else:
        try:
            wanted = clock.from_datetime(parsedate_to_datetime(text))
        except (TypeError, ValueError, OverflowError):
            return None
    return min(wanted, at + _LONGEST_WAIT) if wanted > at else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
