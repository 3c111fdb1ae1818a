"""smtplib on a connection that is there already, made fit for servers with bad manners."""

import smtplib
import socket
from collections.abc import Callable
from typing import BinaryIO, Final

ENDLESS: Final = "the server's reply does not come to an end"
_MAX_REPLY_BYTES: Final = 65536
"""Of one reply. smtplib takes lines without end."""
_GOODBYE_SECONDS: Final = 1.0
_DOT: Final = b".\r\n"


class Smtp(smtplib.SMTP):
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
            raise OSError(ENDLESS)
        return line

    def close(self) -> None:
        self._file.close()
