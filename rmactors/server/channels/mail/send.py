"""The smtp channel: trio's side. The mail is `payload`'s, the conversation `session`'s, in a thread."""

import base64
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

import trio

from rmactors.server.channels.answers import words
from rmactors.server.channels.base import ChannelSpec
from rmactors.server.channels.mail import helo, payload
from rmactors.server.channels.mail.payload import Mail
from rmactors.server.channels.mail.session import MailOutcome, MailServer, MailSession
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.hostnames import ascii_host
from rmactors.server.messages.notifications import Attempt, Notification

DEFAULT_ENCRYPTION: Final = "starttls"
DEADLINE_SECONDS: Final = 10.0
"""For everything up to the final dot: name, connection, TLS, sign-in, mail."""
ANSWER_SECONDS: Final = 600.0
"""For the answer to that dot (RFC 5321, 4.5.3.2.6): the server may be looking for viruses. Giving up before it is there
sends the mail twice."""
_MAX_ERROR: Final = 1000
"""Longer than an HTTP receiver gets: it may have to name many recipients."""
_LAST_LOOK_SECONDS: Final = 10.0
"""Where this process stood still, the ten minutes may be over and the answer be there: then it is read."""
_CONVERSATIONS: Final = 4
"""Of one channel at once. Its own limit, so that a slow server holds up no other channel. One that waits for a turn is
not in flight yet: a server that takes seconds for each mail must not look as if it never answered."""
_NOT_AGAIN_SECONDS: Final = 60.0
"""So long a refusal of the user name and password is the answer to all mails, and they are not sent again: each wrong
one makes servers slower for everybody from here. Dovecot forgets them within half a minute."""
_THREADS: Final = 64
"""Of one channel: conversations, and those that are overdue; the delivery queue has fewer of these in flight."""


class SmtpChannel:
    """One mail server and its recipients."""

    def __init__(
        self,
        spec: ChannelSpec,
        policy: OutboundPolicy,
        ssl_context: ssl.SSLContext,
        base_url: str,
        deadline_seconds: float = DEADLINE_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        config = spec.config
        self._spec = spec
        self._policy = policy
        self._tls = ssl_context
        self._base_url = base_url
        self._deadline = deadline_seconds
        self._patience = answer_seconds
        self._turns = trio.Semaphore(_CONVERSATIONS)
        self._first = trio.Semaphore(1)  # until the user name and password were taken once
        self._threads = trio.CapacityLimiter(_THREADS)
        self._server = MailServer(
            host=ascii_host(config["host"]),
            port=config["port"],
            encryption=config.get("encryption") or DEFAULT_ENCRYPTION,
            username=config.get("username"),
            password=config.get("password"),
            local_name=_local_name(config, base_url),
        )
        self._proven = trio.Event()
        if not self._server.username:
            self._proven.set()
        self._refused: tuple[float, MailOutcome] | None = None
        self._secrets = _forms(config.get("username") or "", config.get("password") or "")

    async def send(
        self, notification: Notification, recipients: tuple[str, ...] = (), overdue: Callable[[], None] | None = None
    ) -> Attempt:
        """One attempt, to all recipients or to those given. Never raises for what network or server do."""
        with ExitStack() as turn:
            await self._turns.acquire()
            turn.callback(self._turns.release)
            if not self._proven.is_set():
                await self._first.acquire()
                if self._proven.is_set():  # meanwhile
                    self._first.release()
                else:
                    turn.callback(self._first.release)

            def give_way() -> None:
                assert overdue is not None
                turn.close()
                overdue()

            return await self._send(notification, recipients, None if overdue is None else give_way)

    async def _send(
        self, notification: Notification, recipients: tuple[str, ...], give_way: Callable[[], None] | None
    ) -> Attempt:
        began = time.perf_counter()
        mail = payload.render(notification, self._spec, self._base_url)
        # Those no longer in the config get nothing; if none of them is left, all get it.
        targets = tuple(one for one in mail.recipients if one in recipients) or mail.recipients
        deadline = time.monotonic() + self._deadline
        if (refused := self._just_refused()) is not None:
            return self._attempt(replace(refused, left=targets), targets != mail.recipients, 0.0)
        session = MailSession(self._server, self._policy, self._tls, deadline)
        outcome = await self._outcome(session, mail, targets, give_way)
        self._learn(session, outcome)
        # The socket's own timeout may come first, and then looks like a server that hung up.
        hung_up = outcome is not None and outcome.verdict == "retry" and outcome.code is None
        if outcome is None or (hung_up and not session.handed_over and time.monotonic() >= deadline):
            outcome = session.accepted or MailOutcome("retry", None, self._silence(session, give_way), targets)
        return self._attempt(outcome, targets != mail.recipients, (time.perf_counter() - began) * 1000)

    async def _outcome(
        self, session: MailSession, mail: Mail, targets: tuple[str, ...], give_way: Callable[[], None] | None
    ) -> MailOutcome | None:
        """How the conversation ended; None if it took too long."""
        found: list[MailOutcome] = []
        ended = trio.Event()

        async def talk() -> None:
            found.append(
                await trio.to_thread.run_sync(
                    session.deliver, mail, targets, abandon_on_cancel=True, limiter=self._threads
                )
            )
            ended.set()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(talk)
                with trio.move_on_after(self._deadline):
                    await ended.wait()
                if give_way is not None and not found and session.handed_over and session.accepted is None:
                    give_way()
                    for seconds in (self._patience, _LAST_LOOK_SECONDS):
                        with trio.move_on_after(seconds):
                            await ended.wait()
                nursery.cancel_scope.cancel()
        finally:
            session.abort()
        return found[0] if found else None

    def _just_refused(self) -> MailOutcome | None:
        """A refusal of the user name and password that is so young that they are not sent again."""
        if self._refused is None or trio.current_time() >= self._refused[0] + _NOT_AGAIN_SECONDS:
            return None
        return self._refused[1]

    def _learn(self, session: MailSession, outcome: MailOutcome | None) -> None:
        if session.signed_in:
            self._proven.set()
        if outcome is not None and outcome.sign_in_refused:
            said = f"{outcome.error} (said a moment ago, and asked once a minute)"
            self._refused, self._proven = (trio.current_time(), replace(outcome, error=said)), trio.Event()

    def _silence(self, session: MailSession, give_way: Callable[[], None] | None) -> str:
        if session.signing_in:
            return (
                f"no answer within {self._deadline:g} s to the user name and password: some servers answer ever slower"
                " after wrong ones"
            )
        if not session.handed_over:
            return f"no answer within {self._deadline:g} s"
        seconds = self._deadline if give_way is None else self._deadline + self._patience
        return f"the server has the whole mail, and no answer within {seconds:g} s: it may arrive"

    async def aclose(self) -> None:
        """Nothing is kept open between mails."""

    def _attempt(self, outcome: MailOutcome, limited: bool, latency_ms: float) -> Attempt:
        error = words(outcome.error, self._secrets, _MAX_ERROR) if outcome.error is not None else None
        everyone = payload.recipients(self._spec.config)
        left = outcome.left if limited or outcome.left != everyone else ()
        # Where others have it from an earlier attempt, that these are refused says nothing of the server either.
        others = outcome.taken or (limited and outcome.for_now)
        latency = round(latency_ms, 3)
        return Attempt(
            outcome.verdict, outcome.code, latency, error, recipients_left=left, in_doubt=outcome.in_doubt,
            others_have_it=others,
        )  # fmt: skip


def _local_name(config: Mapping[str, Any], base_url: str) -> str | None:
    """What the channel's settings or the base URL say; None if that is nothing that mail servers take."""
    if config.get("helo_name"):
        return helo.checked(config["helo_name"])
    host = payload.thread_host(base_url)
    return host if helo.is_full_name(host) else None


def _forms(username: str, password: str) -> tuple[str, ...]:
    """The password in every form in which a server could repeat it, the longest first; nothing without one."""
    if not password:
        return ()
    encoded = [base64.b64encode(text.encode()).decode() for text in (f"\0{username}\0{password}", password)]
    return tuple(sorted((password, *encoded), key=len, reverse=True))
