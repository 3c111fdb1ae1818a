"""The smtp channel: trio's side. The mail is `mail_format`'s, the conversation `mail_session`'s, in a thread."""

import base64
import ssl
import time
from typing import Final

import trio

from rmactors.channels import mail_format
from rmactors.channels.answers import words
from rmactors.channels.base import ChannelSpec
from rmactors.channels.config import secret_values
from rmactors.channels.egress import OutboundPolicy, literal_address
from rmactors.channels.hostnames import ascii_host
from rmactors.channels.mail_session import MailOutcome, MailServer, MailSession
from rmactors.messages.notices import Attempt, Notice

DEADLINE_SECONDS: Final = 10.0
"""For everything: name, connection, TLS, sign-in, mail."""
_MAX_ERROR: Final = 1000
"""Longer than an HTTP receiver gets: it may have to name many recipients."""
_THREADS: Final = 4
"""Conversations of one channel at once. Its own limit, so that a slow server holds up no other channel. One that waits
for a turn is not under way yet: a server that takes seconds for each mail must not look as if it never answered."""


class SmtpChannel:
    """One mail server and its recipients."""

    def __init__(
        self,
        spec: ChannelSpec,
        policy: OutboundPolicy,
        ssl_context: ssl.SSLContext,
        base_url: str,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        config = spec.config
        self._config = config
        self._policy = policy
        self._tls = ssl_context
        self._base_url = base_url
        self._deadline = deadline_seconds
        self._turns = trio.Semaphore(_THREADS)
        self._threads = trio.CapacityLimiter(_THREADS)
        self._server = MailServer(
            host=ascii_host(config["host"]),
            port=config["port"],
            encryption=config.get("encryption") or "starttls",
            username=config.get("username"),
            password=config.get("password"),
            local_name=_ehlo_name(mail_format.thread_host(base_url)),
        )
        self._secrets = _forms(config.get("username") or "", secret_values("smtp", config))

    async def send(self, notice: Notice, recipients: tuple[str, ...] = ()) -> Attempt:
        """One attempt, to all recipients or to those given. Never raises for what network or server do."""
        async with self._turns:
            return await self._send(notice, recipients)

    async def _send(self, notice: Notice, recipients: tuple[str, ...]) -> Attempt:
        began = time.perf_counter()
        mail = mail_format.render(notice, self._config, self._base_url)
        # Those no longer in the config are not told; where none is left of them, all are.
        targets = tuple(one for one in mail.recipients if one in recipients) or mail.recipients
        deadline = time.monotonic() + self._deadline
        session = MailSession(self._server, self._policy, self._tls, deadline)
        outcome: MailOutcome | None = None
        try:
            with trio.move_on_after(self._deadline):
                outcome = await trio.to_thread.run_sync(
                    session.deliver, mail, targets, abandon_on_cancel=True, limiter=self._threads
                )
        finally:
            session.abort()
        # The socket's own timeout may come first, and then looks like a server that hung up.
        if outcome is None or (outcome.verdict == "retry" and outcome.code is None and time.monotonic() >= deadline):
            late = MailOutcome("retry", None, f"no answer within {self._deadline:g} s", targets)
            outcome = session.accepted or late
        return self._attempt(outcome, targets != mail.recipients, (time.perf_counter() - began) * 1000)

    async def aclose(self) -> None:
        """Nothing is kept open between mails."""

    def _attempt(self, outcome: MailOutcome, limited: bool, latency_ms: float) -> Attempt:
        error = words(outcome.error, self._secrets, _MAX_ERROR) if outcome.error is not None else None
        everyone = mail_format.recipients(self._config)
        left = outcome.left if limited or outcome.left != everyone else ()
        return Attempt(outcome.verdict, outcome.code, round(latency_ms, 3), error, None, left)


def _ehlo_name(host: str) -> str:
    """A name, or an address literal as SMTP writes it: `[127.0.0.1]`, `[IPv6:::1]`."""
    address = literal_address(host)
    if address is None:
        return host
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _forms(username: str, secrets: tuple[str, ...]) -> tuple[str, ...]:
    """The password in every form in which a server could repeat it."""
    found = list(secrets)
    for secret in secrets:
        found.append(base64.b64encode(f"\0{username}\0{secret}".encode()).decode())
        found.append(base64.b64encode(secret.encode()).decode())
    return tuple(sorted(found, key=len, reverse=True))
