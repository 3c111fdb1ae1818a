"""One conversation with a mail server: smtplib, blocking, in a thread of its own. `send` is trio's side of it.

Each step's socket timeout is the time left; for a server that drips, the waiting side calls `abort` at the deadline.
Once the server has the whole mail, only the waiting side ends the wait for its answer.
No credential is sent before TLS if TLS is asked for: smtplib ends the conversation if STARTTLS is not
offered, is refused, or its certificate does not hold.
"""

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rmactors.server.channels.answers import Verdict
from rmactors.server.channels.mail import helo
from rmactors.server.channels.mail.conversation import ENDLESS, Smtp
from rmactors.server.channels.mail.payload import Mail
from rmactors.server.channels.mail.sign_in import NoWayToSignIn, SignInRefused, sign_in
from rmactors.server.channels.net.dialing import (
    ConnectFailed,
    Resolve,
    allowed_addresses,
    os_reason,
    resolve_name,
    tls_reason,
)
from rmactors.server.channels.net.egress import ForbiddenAddress, LeadsNowhere, OutboundPolicy

_DEAD_LINK_SECONDS: Final = 120
"""So long nothing of what was sent, or of what only asks whether anybody is there, is acknowledged: then the link is
dead. Without it, one that died under the mail would look for ten minutes like a server that thinks about it. Not less:
a link that comes back within it, or a machine that was paused, still brings the answer."""
_CLOSING: Final = 421
"""The server ends the conversation, and that is not about the recipient."""
_GREETING_SHARE: Final = 0.8
"""Of the time for an attempt, for the server's greeting; the rest is for finding out whether it waits for TLS."""
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL calls it if the other side does not speak TLS."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where to and how.

    `local_name`: what this server calls itself in EHLO; None: the machine's full name, or the address it connects from.
    """

    host: str
    port: int
    encryption: Literal["starttls", "tls", "none"]
    username: str | None
    password: str | None
    local_name: str | None

    def __repr__(self) -> str:
        return f"MailServer({self.host!r}, {self.port}, {self.encryption})"


@dataclass(frozen=True, slots=True)
class MailOutcome:
    """How it ended. `left`: the recipients that have not got it and may yet. `in_doubt` as in `Attempt`.

    taken            the server took it for others than those left
    for_now          each of those left was refused by itself, and for now
    sign_in_refused  the user name or the password, for good
    """

    verdict: Verdict
    code: int | None
    error: str | None = None
    left: tuple[str, ...] = ()
    in_doubt: bool = False
    taken: bool = False
    for_now: bool = False
    sign_in_refused: bool = False


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
        self._asked: tuple[str, ...] = ()
        self._unfit: dict[str, str] = {}
        self.accepted: MailOutcome | None = None
        """Set as soon as the server has taken the mail, before the goodbye."""
        self.handed_over = False
        """Set just before the final dot is sent: from here on the server may have taken the mail."""
        self.signing_in = False
        """Whether the server was given the password and has not answered yet."""
        self.signed_in = False

    def abort(self) -> None:
        """End the conversation: whatever the thread waits for fails at once."""
        self._aborted = True
        if (lifeline := self._let_go()) is not None:
            _shut(lifeline)

    def deliver(self, mail: Mail, recipients: Sequence[str]) -> MailOutcome:
        """Hand the mail over for these recipients. Blocks. Never raises for what network or server do."""
        everyone, host = tuple(recipients), self._server.host
        try:
            return self._converse(mail, everyone)
        except (ForbiddenAddress, _Unfit) as error:
            return MailOutcome("dead", None, str(error), everyone, in_doubt=isinstance(error, LeadsNowhere))
        except SignInRefused as error:
            verdict = judge(error.code)
            return MailOutcome(verdict, error.code, str(error), everyone, sign_in_refused=verdict == "dead")
        except (ConnectFailed, NoWayToSignIn, _WrongPort) as error:
            return MailOutcome("retry", None, str(error), everyone)
        except smtplib.SMTPRecipientsRefused as error:
            return self._settled(error.recipients, none_took_it=True)
        except smtplib.SMTPResponseException as error:
            said = _text(error.smtp_error)
            if not 100 <= error.smtp_code <= 599:
                return MailOutcome("retry", None, f"the server does not speak SMTP: {said}", everyone)
            said = f"{error.smtp_code} {said}{self._hint(error.smtp_code, said)}"
            return MailOutcome(judge(error.smtp_code), error.smtp_code, said, everyone)
        except smtplib.SMTPServerDisconnected as error:
            why = ENDLESS if ENDLESS in str(error) else "the server closed the connection"
            return MailOutcome("retry", None, why + self._perhaps(), everyone)
        except smtplib.SMTPException as error:
            return MailOutcome("retry", None, self._missing(str(error)), everyone)
        except ssl.SSLError as error:
            return MailOutcome("retry", None, f"TLS with {host} failed: {tls_reason(error)}", everyone)
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
        connection = self._connect()
        smtp = Smtp(connection, server.host.rstrip("."), server.port, self._local_name(connection), self._hand_over)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.encryption == "starttls":
                smtp.starttls(context=self._tls)
                smtp.ehlo_or_helo_if_needed()
            if server.username:
                self._sign_in(smtp, server.username, server.password or "")
            if mail.smtputf8 and not smtp.has_extn("smtputf8"):
                mail, recipients = self._in_ascii(mail, recipients)
            self._asked = recipients
            options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.smtputf8 else []
            refused = smtp.sendmail(mail.sender, recipients, mail.content, options)
            self.accepted = self._settled(refused)
            smtp.say_goodbye()
            return self.accepted
        finally:
            smtp.close()

    def _local_name(self, connection: socket.socket) -> str:
        return self._server.local_name or helo.machine_name() or helo.literal(connection.getsockname()[0])

    def _sign_in(self, smtp: Smtp, username: str, password: str) -> None:
        self.signing_in = True
        try:
            sign_in(smtp, self._server.host, username, password, encrypted=self._server.encryption != "none")
        except (SignInRefused, NoWayToSignIn):
            self.signing_in = False
            raise
        self.signing_in, self.signed_in = False, True

    def _in_ascii(self, mail: Mail, recipients: tuple[str, ...]) -> tuple[Mail, tuple[str, ...]]:
        """The mail for a server that knows ASCII addresses alone, and who of these can have it. Raises _Unfit."""
        why = f"{self._server.host} takes no mail addresses with letters beyond ASCII before the @ (SMTPUTF8)"
        if not mail.sender.isascii():
            raise _Unfit(f"{why}, and the sender is one: give another sender, or use another mail server")
        fit = tuple(one for one in recipients if one.isascii())
        self._unfit = {one: why for one in recipients if one not in fit}
        if mail.in_ascii is None or not fit:
            raise _Unfit(f"{why}: {', '.join(self._unfit)} cannot be reached through it")
        return mail.in_ascii, fit

    def _settled(self, refused: Mapping[str, tuple[int, bytes]], *, none_took_it: bool = False) -> MailOutcome:
        """How a mail ends if some recipients were refused: `refused` maps them to the server's reply."""
        for_good = [one for one in self._asked if one in refused and judge(refused[one][0]) == "dead"]
        for_now = [one for one in self._asked if one in refused and one not in for_good]
        not_asked = [one for one in self._asked if one not in refused] if none_took_it else []
        left = tuple(one for one in self._asked if one in for_now or one in not_asked)
        said = [f"{one} refused for good ({why})" for one, why in self._unfit.items()]
        said += [f"{one} refused for good ({_reply(refused[one])})" for one in for_good]
        said += [f"{one} refused for now ({_reply(refused[one])})" for one in for_now]
        error = "; ".join(said) or None
        if left:
            alone = not not_asked and all(refused[one][0] != _CLOSING for one in for_now)
            code = refused[for_now[0]][0] if for_now else None
            return MailOutcome("retry", code, error, left, taken=not none_took_it, for_now=alone)
        if none_took_it:
            return MailOutcome("dead", refused[for_good[0]][0], error, (*self._unfit, *self._asked))
        return MailOutcome("delivered", 250, error)

    def _connect(self) -> socket.socket:
        """A socket to an address that the policy allows, ready for the greeting: its TLS done if that comes first."""
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
            if server.encryption == "tls":
                return self._in_tls(plain)
            self._await_greeting(plain)
            return plain
        except BaseException:
            plain.close()
            raise

    def _in_tls(self, plain: socket.socket) -> ssl.SSLSocket:
        """The connection with TLS. Raises _WrongPort where the server does not speak it yet."""
        try:
            return self._tls.wrap_socket(plain, server_hostname=self._server.host.rstrip("."))
        except ssl.SSLError as error:
            if error.reason not in _NOT_TLS:
                raise
            raise _WrongPort(
                f"{self._server.host} does not speak TLS from the start on port {self._server.port}: set the encryption"
                " to starttls, or the port to one that does, which is 465 as a rule"
            ) from None

    def _await_greeting(self, plain: socket.socket) -> None:
        """Wait until the server says something. Raises _WrongPort where it waits for TLS itself.

        Only one that has been silent for nearly all of the time is asked, and that ends the conversation: it would have
        ended anyway.
        """
        plain.settimeout(self._seconds_left() * _GREETING_SHARE)
        try:
            plain.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            plain.settimeout(self._seconds_left())
            if self._answers_in_tls(plain):
                raise _WrongPort(
                    f"{self._server.host} speaks TLS from the start on port {self._server.port}: set the encryption to"
                    " tls"
                ) from None
            raise ConnectFailed(f"{self._server.host} does not say anything on port {self._server.port}") from None
        plain.settimeout(self._seconds_left())

    def _answers_in_tls(self, plain: socket.socket) -> bool:
        try:
            self._in_tls(plain).close()
        except ssl.SSLCertVerificationError:
            return True
        except (OSError, _WrongPort):
            return False
        return True

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
        return error

    def _hint(self, code: int, said: str) -> str:
        """What helps, where a refusal shows it."""
        if code != 530:
            return ""
        if self._server.encryption == "none" and "TLS" in said.upper():
            return ": set the encryption to starttls"
        return "" if self._server.username else ": it wants a user name and a password"


class _Unfit(Exception):
    """The server cannot take this mail, now or later. The message says why."""


class _WrongPort(Exception):
    """It speaks TLS where that is not expected, or does not where it is. The message says what to change."""


def judge(code: int) -> Verdict:
    """What an SMTP reply that is no success means. What is no proper refusal may be better next time."""
    return "dead" if 500 <= code < 600 else "retry"


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
