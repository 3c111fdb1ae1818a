"""Mail servers on loopback: aiosmtpd in a thread of its own, and bare sockets for what no proper server does."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Post:
    """What a mail server got, and how it behaves. `refuse` maps a recipient to the reply that it gets."""

    mails: list[Envelope] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    """For each mail, whether it came over TLS."""
    alpn: list[str | None] = field(default_factory=list)
    """For each mail that did, the protocol that was agreed on in the handshake."""
    refuse: dict[str, str] = field(default_factory=dict)
    data_reply: str = "250 OK"
    accounts: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """What clients called themselves, mail for mail."""
    mechanisms_used: list[str] = field(default_factory=list)
    port: int = 0
    ponders: Callable[[bytes], bool] = lambda _: False
    """Whether it takes a mail of this content and answers only after `answer`."""
    pondered: list[Envelope] = field(default_factory=list)
    """Mails it has, and has not answered or only after that."""
    answer: Callable[[], None] = lambda: None
    """Answer what it has been pondering, and ponder no more."""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.ponders(envelope.content or b""):
            self.pondered.append(envelope)
            await self.done.wait()
        if self.data_reply.startswith("250"):
            self.mails.append(envelope)
            self.names.append(str(session.host_name))
            secured = server.transport.get_extra_info("ssl_object")
            self.tls.append(secured is not None)
            if secured is not None:
                self.alpn.append(secured.selected_alpn_protocol())
        return self.data_reply

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        login, password = data.login.decode(), data.password.decode()
        self.logins.append((login, password))
        self.mechanisms_used.append(mechanism)
        return AuthResult(success=self.accounts.get(login) == password, handled=self.accounts.get(login) == password)


@contextmanager
def mail_server(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    accounts: dict[str, str] | None = None,
    smtputf8: bool = True,
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN"),
) -> Iterator[Post]:
    """A proper server. With `accounts`, signing in is required."""
    post = Post(accounts=accounts or {})
    options: dict[str, Any] = {
        "tls_context": starttls,
        "enable_SMTPUTF8": smtputf8,
        "require_starttls": starttls is not None,
    }
    if accounts:
        options |= {
            "authenticator": post.authenticate,
            "auth_required": True,
            "auth_require_tls": starttls is not None,
            "auth_exclude_mechanism": {"PLAIN", "LOGIN"} - set(mechanisms),
        }
    listener = socket.create_server(("127.0.0.1", 0))
    post.port = listener.getsockname()[1]
    started = threading.Event()
    loop = asyncio.new_event_loop()

    def answer() -> None:
        post.ponders = lambda _: False
        loop.call_soon_threadsafe(post.done.set)

    post.answer = answer
    stop = asyncio.Event()

    async def serve() -> None:
        server = await loop.create_server(
            lambda: SMTP(post, hostname="mail.test", loop=loop, **options), sock=listener, ssl=tls
        )
        started.set()
        await stop.wait()
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(5)
    try:
        yield post
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        assert not thread.is_alive()
        loop.close()


@contextmanager
def scripted_server(talk: Callable[[socket.socket, list[bytes]], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A bare listener: `talk(connection, heard)` plays one conversation; what the client says goes into `heard`."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    try:
                        talk(connection, heard)
                    except (ConnectionError, TimeoutError):
                        continue  # the client has gone
        except OSError:
            return  # the listener was closed: the test is over

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(6)
        assert not thread.is_alive()


def dialogue(*replies: bytes, then: bytes = b"") -> Callable[[socket.socket, list[bytes]], None]:
    """Greets with the first reply, answers each line with the next, then with `then`, or keeps silent."""

    def talk(connection: socket.socket, heard: list[bytes]) -> None:
        with connection.makefile("rb") as lines:
            pending = list(replies)
            connection.sendall(pending.pop(0) if pending else b"")
            while line := lines.readline():
                heard.append(line)
                connection.sendall(pending.pop(0) if pending else then)

    return talk
