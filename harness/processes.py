"""The server as a real process, seen only from outside: commands, environment, HTTP.

Nothing here imports the server. Ports are taken below the range that the kernel gives to outgoing connections,
so that a server which was killed finds them free again.
"""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from harness.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "rmactors"]
STARTS_WITHIN = 120.0
"""Seconds. A start takes under one; a machine with twenty others waiting for its two processors took over 30."""
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For what has no TLS. Each new client of httpx would read all authorities of the machine, for 40 ms and more."""
STOP_SECONDS = 20.0
"""A stop takes under five on a machine that is not busy. Where one peer can hold it up, it takes thirty or more."""


def trusting(certificate: Path | str) -> ssl.SSLContext:
    """Believes that certificate alone; also where it leaves out identifiers, which Python 3.13 would refuse."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class ServerDied(AssertionError):
    """The server process ended where it should have run. The message has its log."""


class Server:
    """One server on one data dir; it may be started, killed and started again on the same ports.

    `settings` are `RM_*` variables without the prefix, in lower case. Methods that wait block their thread:
    from async code call them through `away()`.
    """

    root = ROOT
    """Of the files of the program that is run."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log_file = folder / "server.log"
        self.port, self.agent_port = free_port(), free_port()
        certificate = settings.get("tls_cert_file")
        self.verify = trusting(certificate) if certificate else PLAIN
        tls = "s" if certificate else ""
        self.url = f"http{tls}://127.0.0.1:{self.port}"
        self.agent_url = f"ws{tls}://127.0.0.1:{self.agent_port}/ws/agent"
        self.process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, object] = {
            "listen": f"127.0.0.1:{self.port}",
            "agent_listen": f"127.0.0.1:{self.agent_port}",
            "data_dir": self.data_dir,
            "cookie_secure": "false",
            "outbound_allow": "loopback",
            **settings,
        }
        self._token: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        return environment({f"RM_{name.upper()}": str(value) for name, value in self.settings.items()})

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it and wait until /healthz is 200. Raises ServerDied."""
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start the process, and no more."""
        assert not self.running
        self.folder.mkdir(exist_ok=True)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "server"],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self) -> None:
        eventually(self._is_ready, STARTS_WITHIN, lambda: f"the server is not ready\n{self.log[-4000:]}", pause=0.02)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise ServerDied(f"the server ended with {self.process.returncode}\n{self.log[-4000:]}")
        try:
            return httpx.get(f"{self.url}/healthz", timeout=20, trust_env=False, verify=self.verify).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL, and nothing else."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 60.0) -> tuple[int, float]:
        """SIGTERM. Returns exit code and how many seconds the end took. Raises subprocess.TimeoutExpired."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        return code, time.monotonic() - began

    def must_live(self) -> None:
        """Raises ServerDied where the process is not there any more."""
        if not self.running:
            code = self.process.returncode if self.process else None
            raise ServerDied(f"the server ended with {code}\n{self.log[-4000:]}")

    def admin(self, *arguments: str, **variables: str) -> str:
        """`rmactors admin …`; its standard output without the newline at the end."""
        done = subprocess.run(
            [*COMMAND, "admin", *arguments],
            cwd=self.root,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"admin {arguments[0]} ended with {done.returncode}\n{done.stderr}"
        return done.stdout.rstrip("\n")

    @property
    def token(self) -> str:
        """An admin's API token, made by the command line when first asked for."""
        if self._token is None:
            self._token = self.admin("create-api-token", "--name", "end-to-end", "--role", "admin")
        return self._token

    def use_token(self, token: str) -> None:
        """One that is in the database already."""
        self._token = token

    def client(self, **options: Any) -> httpx.AsyncClient:
        """An HTTP client that speaks as that token, proxies of the environment ignored."""
        headers = {"Authorization": f"Bearer {self.token}"}
        shared: dict[str, Any] = {"trust_env": False, "timeout": 60, "verify": self.verify}
        return httpx.AsyncClient(base_url=self.url, headers=headers, **(shared | options))

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One API request; the decoded JSON. Raises AssertionError for anything but a 2xx."""
        response = self.response(method, path, body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def response(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One API request, whatever comes of it."""
        return httpx.request(
            method,
            f"{self.url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
            trust_env=False,
            verify=self.verify,
        )

    def all_items(self, path: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page. `path` may have a query."""
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.ask("GET", f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    def enrollment_token(self) -> str:
        token: str = self.ask("POST", "/api/enrollment-tokens", {"ttl_minutes": 60})["token"]
        return token

    def webhook(self, url: str, name: str = "ops", **more: object) -> str:
        """Make a webhook channel; its id."""
        return self.channel("webhook", name, {"url": url}, **more)

    def channel(self, kind: str, name: str, config: Mapping[str, object], **more: object) -> str:
        """Make a channel; its id."""
        body = {"kind": kind, "name": name, "config": config, **more}
        channel_id: str = self.ask("POST", "/api/notifications", body)["id"]
        return channel_id


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process without its own RM_ and proxy variables, and with these."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("RM_", "RESTIC_")) and not k.lower().endswith("_proxy")
    }
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(variables)


@contextmanager
def running_server(folder: Path, **settings: object) -> Iterator[Server]:
    """A server that is ready, and gone at the end of the block however that ends."""
    server = Server(folder, **settings)
    try:
        server.start()
        yield server
    finally:
        if server.running:
            server.kill()


def eventually(holds: Callable[[], bool], seconds: float, otherwise: Callable[[], str], pause: float = 0.05) -> None:
    """Ask again and again, with short pauses, until it holds. Raises AssertionError with what `otherwise` says."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, otherwise()
        time.sleep(pause)


async def away(call: Callable[[], Any]) -> Any:
    """A blocking call of the harness in a thread, while sinks and agents of the test go on."""
    return await trio.to_thread.run_sync(call)
