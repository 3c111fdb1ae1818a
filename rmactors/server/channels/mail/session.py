"""One conversation with a mail server: smtplib, blocking, in a thread of its own. `send` is trio's side of it.

Each step's socket timeout is the time left; for a server that drips, the waiting side calls `abort` at the deadline.
Once the server has the whole mail, only the waiting side ends the wait for its answer.
No credential is sent before TLS if TLS is asked for: smtplib ends the conversation if STARTTLS is not
offered, is refused, or its certificate does not hold.
"""

import base64
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

from rmactors.server.channels.answers import Verdict
from rmactors.server.channels.mail.payload import Mail
from rmactors.server.channels.net.dialing import (
    ConnectFailed,
    Resolve,
    allowed_addresses,
    os_reason,
    resolve_name,
    tls_reason,
)
from rmactors.server.channels.net.egress import ForbiddenAddress, LeadsNowhere, OutboundPolicy

_GOODBYE_SECONDS: Final = 1.0
_DEAD_LINK_SECONDS: Final = 120
"""So long nothing of what was sent, or of what only asks whether anybody is there, is acknowledged: then the link is
dead. Without it, one that died under the mail would look for ten minutes like a server that thinks about it. Not less:
a link that comes back within it, or a machine that was paused, still brings the answer."""
_MAX_REPLY_BYTES: Final = 65536
"""Of one reply. smtplib takes lines without end."""
_DOT: Final = b".\r\n"
_CLOSING: Final = 421
"""The server ends the conversation, for every recipient alike."""
_ENDLESS: Final = "the server's reply does not come to an end"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where to and how. `local_name` is what this server calls itself in EHLO."""

    host: str
    port: int
    encryption: Literal["starttls", "tls", "none"]
    username: str | None
    password: str | None
    local_name: str

    def __repr__(self) -> str:
        return f"MailServer({self.host!r}, {self.port}, {self.encryption})"


@dataclass(frozen=True, slots=True)
class MailOutcome:
    """How it ended. `left`: the recipients that have not got it and may yet. `in_doubt` as in `Attempt`.

    `taken`: the server took it for others. `for_now`: each of those left was refused by itself, and for now.
    """

    verdict: Verdict
    code: int | None
    error: str | None = None
    left: tuple[str, ...] = ()
    in_doubt: bool = False
    for_now: bool = False
    taken: bool = False


class MailSession:
    """`deliver` runs in a thread, once; `abort` may be called from another at any time."""

    def __init__(
        self,
        server: MailServer,
        policy: OutboundPolicy,
        ssl_context: ssl.SSLContext,
        deadline: float,
        resolve: Resolve = resolve_name,
    ) -> None:
        """`deadline` is a time.monotonic()."""
        self._resolve = resolve
        self._server = server
        self._policy = policy
        self._tls = ssl_context
        self._deadline = deadline
        self._lock = threading.Lock()
        self._lifeline: socket.socket | None = None
        self._aborted = False
        self.accepted: MailOutcome | None = None
        """Set as soon as the server has taken the mail, before the goodbye."""
        self.handed_over = False
        """Set just before the final dot is sent: from here on the server may have taken the mail."""

    def abort(self) -> None:
        """End the conversation: whatever the thread waits for fails at once."""
        self._aborted = True
        if (lifeline := self._let_go()) is not None:
            _shut(lifeline)

    def deliver(self, mail: Mail, recipients: Sequence[str]) -> MailOutcome:
        """Hand the mail over for these recipients. Blocks. Never raises for what network or server do."""
        everyone = tuple(recipients)
        try:
            return self._converse(mail, everyone)
        except (ForbiddenAddress, _Unfit) as error:
            return MailOutcome("dead", None, str(error), everyone, in_doubt=isinstance(error, LeadsNowhere))
        except ConnectFailed as error:
            return MailOutcome("retry", None, str(error), everyone)
        except smtplib.SMTPRecipientsRefused as error:
            return _settled(everyone, error.recipients, none_took_it=True)
        except smtplib.SMTPResponseException as error:
            said = _text(error.smtp_error)
            if not 100 <= error.smtp_code <= 599:
                return MailOutcome("retry", None, f"the server does not speak SMTP: {said}", everyone)
            return MailOutcome(judge(error.smtp_code), error.smtp_code, f"{error.smtp_code} {said}", everyone)
        except smtplib.SMTPServerDisconnected as error:
            why = _ENDLESS if _ENDLESS in str(error) else "the server closed the connection"
            return MailOutcome("retry", None, why + self._perhaps(), everyone)
        except smtplib.SMTPException as error:
            return MailOutcome("retry", None, self._missing(str(error)), everyone)
        except ssl.SSLError as error:
            return MailOutcome("retry", None, f"TLS with {self._server.host} failed: {tls_reason(error)}", everyone)
        except OSError as error:
            return MailOutcome("retry", None, f"the connection failed: {os_reason(error)}{self._perhaps()}", everyone)
        finally:
            if (lifeline := self._let_go()) is not None:
                lifeline.close()

    def _perhaps(self) -> str:
        return " when it had the whole mail, which may have arrived" if self.handed_over else ""

    def _hand_over(self) -> None:
        self.handed_over = True

    def _converse(self, mail: Mail, recipients: tuple[str, ...]) -> MailOutcome:
        server = self._server
        smtp = _Smtp(self._connect(), server.host.rstrip("."), server.port, server.local_name, self._hand_over)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.encryption == "starttls":
                smtp.starttls(context=self._tls)
                smtp.ehlo_or_helo_if_needed()
            if server.username:
                _log_in(smtp, server.username, server.password or "")
            if mail.smtputf8 and not smtp.has_extn("smtputf8"):
                raise _Unfit(f"{server.host} takes no mail addresses with letters beyond ASCII (SMTPUTF8)")
            options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.smtputf8 else []
            refused = smtp.sendmail(mail.sender, recipients, mail.content, options)
            self.accepted = _settled(recipients, refused)
            smtp.say_goodbye()
            return self.accepted
        finally:
            smtp.close()

    def _connect(self) -> socket.socket:
        """A socket to an address that the policy allows, its TLS done if it comes first."""
        server = self._server
        addresses = allowed_addresses(self._resolve(server.host, server.port), server.host, self._policy)
        reason = ""
        for number, address in enumerate(addresses):
            share = self._seconds_left() / (len(addresses) - number)
            try:
                plain = socket.create_connection((address, server.port), timeout=share)
            except OSError as error:
                reason = os_reason(error)
                continue
            break
        else:
            raise ConnectFailed(f"cannot connect to {server.host} port {server.port}: {reason}")
        try:
            self._hold(plain)
            plain.settimeout(self._seconds_left())
            _tune(plain)
            if server.encryption != "tls":
                return plain
            return self._tls.wrap_socket(plain, server_hostname=server.host.rstrip("."))
        except BaseException:
            plain.close()
            raise

    def _hold(self, connection: socket.socket) -> None:
        """Keep a second handle on the connection: TLS takes the first one away while it shakes hands."""
        with self._lock:
            self._lifeline = connection.dup()
        if self._aborted:  # it came between the name and the connection, and had nothing to cut off yet
            raise ConnectFailed("too late")

    def _let_go(self) -> socket.socket | None:
        with self._lock:
            lifeline, self._lifeline = self._lifeline, None
        return lifeline

    def _seconds_left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise ConnectFailed("no time left to connect")
        return left

    def _missing(self, error: str) -> str:
        """smtplib's words for what a server does not offer, as an operator needs them."""
        if "STARTTLS" in error:
            return (
                f"{self._server.host} does not offer STARTTLS, so nothing was sent: someone may be stripping it, or the"
                " encryption should be tls"
            )
        if "AUTH" in error or "authentication method" in error:
            return f"{self._server.host} offers no way to sign in that fits, but a user name is set"
        return error


class _Unfit(Exception):
    """The server cannot take this mail, now or later. The message says why."""


class _Smtp(smtplib.SMTP):
    """smtplib on a connection that is there already. Raises SMTPConnectError if the greeting is a refusal."""

    def __init__(
        self, connection: socket.socket, host: str, port: int, local_name: str, handed_over: Callable[[], None]
    ) -> None:
        """`handed_over` is called just before the final dot is sent."""
        self._connection = connection
        self._handed_over = handed_over
        try:
            super().__init__(host, port, local_hostname=local_name)
        except BaseException:
            connection.close()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._connection

    def send(self, s: str | bytes) -> None:  # type: ignore[override]
        """What smtplib calls for each command (text) and for the whole mail with its dot (bytes)."""
        if self.sock is None or not isinstance(s, bytes) or not s.endswith(_DOT):
            super().send(s)
            return
        super().send(s.removesuffix(_DOT))
        self.sock.settimeout(None)  # the caller bounds the wait for the answer
        self._handed_over()  # before the server can know
        super().send(_DOT)

    def rset(self) -> tuple[int, bytes]:
        """smtplib's way to forget a mail that was refused. Needless: the conversation ends with it."""
        return 250, b""

    def getreply(self) -> tuple[int, bytes]:
        """One reply of the server. Raises SMTPServerDisconnected, also if it does not come to an end."""
        if self.file is None and self.sock is not None:
            self.file = _Lines(self.sock.makefile("rb"))
        if isinstance(self.file, _Lines):
            self.file.left = _MAX_REPLY_BYTES
        return super().getreply()

    def say_goodbye(self) -> None:
        """QUIT. The mail is taken; how the server answers this changes nothing, and one that drips is not heard out."""
        try:
            if self.sock is not None:
                self.sock.settimeout(_GOODBYE_SECONDS)
                self.putcmd("quit")
                self.sock.recv(_MAX_REPLY_BYTES)
        except (smtplib.SMTPException, OSError):
            return


class _Lines:
    """What a server says, line by line, up to `left` bytes: beyond it reading fails as if the connection had broken.

    So it does for one line that is too long, which smtplib would take for a refusal for good.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = _MAX_REPLY_BYTES

    def readline(self, most: int) -> bytes:
        line = self._file.readline(most)
        self.left -= len(line)
        if self.left < 0 or len(line) == most:
            raise OSError(_ENDLESS)
        return line

    def close(self) -> None:
        self._file.close()


def judge(code: int) -> Verdict:
    """What an SMTP reply that is no success means. What is no proper refusal may be better next time."""
    return "dead" if 500 <= code < 600 else "retry"


def _log_in(smtp: smtplib.SMTP, username: str, password: str) -> None:
    """smtplib's login, which speaks only ASCII; beyond it PLAIN in UTF-8, as RFC 4616 has it."""
    if username.isascii() and password.isascii():
        smtp.login(username, password)
        return
    if "PLAIN" not in smtp.esmtp_features.get("auth", "").upper().split():
        raise smtplib.SMTPException("No suitable authentication method found.")
    response = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
    code, reply = smtp.docmd("AUTH", f"PLAIN {response}")
    if code not in (235, 503):
        raise smtplib.SMTPAuthenticationError(code, reply)


def _settled(
    recipients: tuple[str, ...], refused: dict[str, tuple[int, bytes]], *, none_took_it: bool = False
) -> MailOutcome:
    """What a mail's end is if some recipients were refused: `refused` maps them to the server's reply."""
    for_good = [one for one in recipients if one in refused and judge(refused[one][0]) == "dead"]
    for_now = [one for one in recipients if one in refused and one not in for_good]
    not_asked = [one for one in recipients if one not in refused] if none_took_it else []
    left = tuple(one for one in recipients if one in for_now or one in not_asked)
    said = [f"{one} refused for good ({_reply(refused[one])})" for one in for_good]
    said += [f"{one} refused for now ({_reply(refused[one])})" for one in for_now]
    error = "; ".join(said) or None
    if left:
        alone = not not_asked and all(refused[one][0] != _CLOSING for one in for_now)
        code = refused[for_now[0]][0] if for_now else None
        return MailOutcome("retry", code, error, left, for_now=alone, taken=not none_took_it)
    if none_took_it:
        return MailOutcome("dead", refused[for_good[0]][0], error, recipients)
    return MailOutcome("delivered", 250, error)


def _reply(reply: tuple[int, bytes]) -> str:
    return f"{reply[0]} {_text(reply[1])}"


def _text(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply


def _tune(connection: socket.socket) -> None:
    """Send at once, and notice a dead link, as far as this system can."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the dot goes out apart
    for name, value in (
        ("TCP_KEEPIDLE", _DEAD_LINK_SECONDS // 2),
        ("TCP_KEEPINTVL", _DEAD_LINK_SECONDS // 6),
        ("TCP_USER_TIMEOUT", _DEAD_LINK_SECONDS * 1000),
    ):
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself
    finally:
        connection.close()
