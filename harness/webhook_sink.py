"""A webhook that answers as it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Sink:
    """`status` is what every request gets."""

    url: str = ""
    status: int = 204


@contextmanager
def webhook_sink() -> Iterator[Sink]:
    """There for as long as the block lasts."""
    sink = Sink()

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(sink.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as served:
        thread = Thread(target=served.serve_forever)
        thread.start()
        sink.url = f"http://127.0.0.1:{served.server_address[1]}/hook"
        try:
            yield sink
        finally:
            served.shutdown()
            thread.join()
