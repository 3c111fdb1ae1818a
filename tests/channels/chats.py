"""Chats' strict receivers, one attempt at each, and the texts that hosts may send."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import strategies as st

from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.messages.notifications import Attempt, GroupMember, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, DIGEST, LATER, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.receivers import Request, Script, receiving

LOOPBACK = OutboundPolicy.parse("loopback")
BASE = "https://rm.example.org"
ACT = "https://rm.example.org/act/v1.AAAAAAAAAAAA.BBBBBBBBBBBB"
ACTABLE = replace(RAISE, act_link=ACT)

_LIVELY = st.sampled_from([
    "<!channel>", "<!here|x>", "<@U012AB3CD>", "@everyone", "@here", "<@!80351110224678912>", "<@&41771983423143936>",
    "<at>Maria</at>", "@all", "[x](https://evil.example)", "<https://evil.example|x>", "<a href='https://evil.example'>x</a>",
    "**b**", "`c`", "```", "~~", "||s||", "\\", "\\\\", "&amp;", "&lt;", "</b>", "<b>", "# h", "- l", "> q", "1. n",
    "{{DATE(2026-11-23T03:00:12Z, LONG)}}", "😀", "\U0010ffff", "\u202e", "\n", "\r\n", " ", ":tada:", "_", "*",
])  # fmt: skip
pieces = st.lists(_LIVELY | st.text(st.characters(codec="utf-8"), max_size=5), max_size=8).map("".join)
texts = st.tuples(pieces, st.integers(1, 2500)).map(lambda pair: (pair[0] * pair[1])[:6000]) | pieces
"""What a host may say, short or long: the alphabets of all these chats, repeated."""
_members = st.builds(
    GroupMember, st.just("01K9XZ3V8T5WQ1R7M2N4P6S8BB"), st.just("critical"), st.just("check_failed"), st.just(""), texts
)
notifications = st.builds(
    lambda kind, host, message, actor, note, group, act, count: replace(
        kind, host_name=host[:200], message=message, actor=actor[:200], note=note, group=tuple(group), act_link=act,
        group_count=count,
    ),
    st.sampled_from([RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, DIGEST]), texts, texts, texts, texts,
    st.lists(_members, max_size=4).flatmap(lambda some: st.integers(0, 20).map(lambda times: some * times)),
    st.sampled_from(["", ACT]), st.sampled_from([0, 40]),
)  # fmt: skip


async def tell(
    script: Script, trust: ssl.SSLContext, notification: Notification, kind: str,
    config: Callable[[str], dict[str, Any]], priority: Any = None,
) -> Attempt:  # fmt: skip
    """One attempt at that receiver. `config` makes the channel's from the receiver's address."""
    async with receiving(script) as receiver:
        made = spec(kind, priority, **config(receiver.url("")))
        channel = make_channel(made, LOOPBACK, trust, BASE, lambda: LATER)
        attempt = await channel.send(notification)
        await channel.aclose()
    return attempt


def posted(path: str, payload: dict[str, Any], content_type: str = "application/json") -> Request:
    """A request with this body as a receiver reads it, without a network."""
    return Request(f"POST {path} HTTP/1.1", [], {"content-type": content_type}, msgspec.json.encode(payload))
