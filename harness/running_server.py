"""The real server as a process of its own, on free ports of this machine."""

import http.client
import http.cookies
import itertools
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from harness.ports import free_port
from rmactors.common import clock, ids
from rmactors.common.vocabulary import Role
from rmactors.server.config.settings import Settings
from rmactors.server.messages.accounts import CreateUser
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.audit import Audit
from rmactors.server.store.offline import commit_here
from rmactors.server.web.auth.passwords import Passwords

PASSWORD = "correct horse battery staple"
STARTS_WITHIN = 120.0
"""Seconds: a net. A start takes under one; a full machine needs over 20."""
_PASSWORDS = Passwords()


@dataclass
class RunningServer:
    """`url` is where a browser goes."""

    url: str
    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop:\n{self.log.read_text()}") from None

    def start_again(self) -> None:
        """On the same ports and data dir."""
        self.process = _start(self.settings, self.log)
        _wait_until_up(self)


def settings_for(data_dir: Path) -> Settings:
    listen = f"127.0.0.1:{free_port()}"
    return Settings(
        listen=listen, agent_listen=f"127.0.0.1:{free_port()}", data_dir=str(data_dir), cookie_secure=False,
        base_url=f"http://{listen}", outbound_allow="external,private,loopback",
    )  # fmt: skip


def make_user(settings: Settings, username: str, role: Role) -> None:
    """With `PASSWORD`; before or while the server runs."""
    user_id, at = ids.new(), clock.now()
    audit = Audit(at, "the test", "system", "user.create", "user", user_id)
    answer = commit_here(settings, CreateUser(user_id, username, _PASSWORDS.hash_here(PASSWORD), role, at, audit))
    assert isinstance(answer, Committed), answer


_ADDRESSES = itertools.cycle(f"127.0.1.{last}" for last in range(1, 255))


def sign_in(url: str, username: str, password: str) -> str:
    """The session's cookie. Each time from another address: sign-ins are throttled by address, as they should be."""
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60, source_address=(next(_ADDRESSES), 0))
    try:
        form = urllib.parse.urlencode({"username": username, "password": password, "next": "/"})
        connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        cookie = http.cookies.SimpleCookie(answer.getheader("Set-Cookie"))
        return cookie["rm"].value
    finally:
        connection.close()


def run(settings: Settings) -> RunningServer:
    """Start it and wait until it serves."""
    log = Path(settings.data_dir).parent / "server.log"
    running = RunningServer(f"http://{settings.listen}", settings, _start(settings, log), log)
    _wait_until_up(running)
    return running


def _start(settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "rmactors", "server"], env=environment(settings), stdout=out, stderr=out
        )


def environment(settings: Settings) -> dict[str, str]:
    """For commands that belong to this server."""
    ours = {
        "RM_LISTEN": settings.listen, "RM_AGENT_LISTEN": settings.agent_listen, "RM_DATA_DIR": settings.data_dir,
        "RM_BASE_URL": settings.base_url, "RM_COOKIE_SECURE": str(settings.cookie_secure),
        "RM_OUTBOUND_ALLOW": settings.outbound_allow,
    }  # fmt: skip
    if settings.oidc_issuer:
        ours |= {
            "RM_OIDC_ISSUER": settings.oidc_issuer, "RM_OIDC_CLIENT_ID": settings.oidc_client_id,
            "RM_OIDC_CLIENT_SECRET": settings.oidc_client_secret, "RM_OIDC_ROLES": settings.oidc_roles,
        }  # fmt: skip
    if settings.agent_url:
        ours["RM_AGENT_URL"] = settings.agent_url
    return {**{name: value for name, value in os.environ.items() if not name.startswith("RM_")}, **ours}


def _wait_until_up(running: RunningServer) -> None:
    give_up = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            with urllib.request.urlopen(f"{running.url}/healthz", timeout=20) as answer:
                assert answer.status == 200
                return
        except OSError:  # refused, or not answered in time
            assert running.process.poll() is None, f"the server ended:\n{running.log.read_text()}"
            if time.monotonic() > give_up:
                running.process.kill()
                running.process.wait()
                raise AssertionError(f"the server does not answer:\n{running.log.read_text()}") from None
            time.sleep(0.05)
