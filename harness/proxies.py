"""`deploy/nginx` and `deploy/caddy` as they are, before both ports of a real server: only names and files differ.

The proxy is reached by TLS from 127.0.0.2 and so on, so that the server can tell it (127.0.0.1) from who is behind it.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trio

from harness.certificates import Authority, make_authority
from harness.ports import free_port
from harness.processes import Server, eventually, running_server
from harness.tools import DEPLOY, program, running

PASSWORD = "a long enough password"
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
CLIENT = "127.0.0.2"
STRANGER = "127.0.0.3"


@dataclass(frozen=True)
class Site:
    """A server behind a proxy. `url` and `agents_url` are the proxy's."""

    server: Server
    url: str
    agents_url: str
    authority: Authority
    is_nginx: bool
    trust: ssl.SSLContext

    def browser(self, *, address: str = CLIENT, **headers: str) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(verify=self.trust, local_address=address)
        return httpx.AsyncClient(base_url=self.url, transport=transport, headers=headers, timeout=60)

    async def shows(self, token: str, address: str) -> int:
        """What the agents' name answers to an upgrade with this token."""
        transport = httpx.AsyncHTTPTransport(verify=self.trust, local_address=address)
        headers = {**UPGRADE, "Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=self.agents_url, transport=transport, timeout=60) as client,
            client.stream("GET", "/ws/agent", headers=headers) as answer,
        ):
            return answer.status_code

    async def raw(self, address: str, data: bytes) -> trio.SSLStream[trio.SocketStream]:
        """A connection to the pages' name on which this has been sent."""
        port = int(self.url.rpartition(":")[2])
        tcp = await trio.open_tcp_stream("127.0.0.1", port, local_address=address)
        stream = trio.SSLStream(tcp, self.trust, server_hostname="localhost", https_compatible=True)
        await stream.send_all(data)
        return stream

    async def sign_in(self, browser: httpx.AsyncClient) -> httpx.Response:
        """As a browser does: with the origin that the proxy's address is to it."""
        form = {"username": "ann", "password": PASSWORD, "next": "/alerts"}
        return await browser.post("/login", data=form, headers={"Origin": self.url})


def replaced(text: str, *pairs: tuple[str, object]) -> str:
    """What an administrator would change. Each must be there to be changed."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, str(new))
    return text


def nginx(folder: Path, server: Server, pages: int, agents: int, certificate: Path, at_once: int = 500) -> list[str]:
    """`at_once`: requests of one address for pages."""
    binary = program("nginx")
    site = replaced(
        (DEPLOY / "nginx" / "rmactors.conf").read_text(),
        ("/etc/ssl/backup.example.org.pem", certificate),
        ("/etc/ssl/private/backup.example.org.key", certificate),
        ("127.0.0.1:8080", f"127.0.0.1:{server.port}"),
        ("127.0.0.1:8081", f"127.0.0.1:{server.agent_port}"),
        ("443 ssl http2;\n    server_name backup.example.org", f"{pages} ssl http2;\n    server_name localhost"),
        ("443 ssl http2;\n    server_name agents.example.org", f"{agents} ssl http2;\n    server_name localhost"),
    )  # fmt: skip
    site = replaced(site, ("limit_conn rmactors_pages 500", f"limit_conn rmactors_pages {at_once}"))
    (folder / "site.conf").write_text(site)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; user root;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; {temporary} include {folder}/site.conf; }}\n"
    )
    return [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(folder: Path, server: Server, pages: int, agents: int, certificate: Path) -> list[str]:
    binary = program("caddy")
    site = replaced(
        (DEPLOY / "caddy" / "Caddyfile").read_text(),
        ("\n{\n\tservers {", "\n{\n\tadmin off\n\tauto_https off\n\tservers {"),
        ("}:8080", f"}}:{server.port}"),
        ("}:8081", f"}}:{server.agent_port}"),
        ("\n{$RM_DOMAIN:backup.example.org} {", f"\nhttps://localhost:{pages} {{\n\ttls {certificate} {certificate}"),
        (
            "\n{$RM_AGENTS_DOMAIN:agents.example.org} {",
            f"\nhttps://localhost:{agents} {{\n\ttls {certificate} {certificate}",
        ),
    )
    (folder / "Caddyfile").write_text(site)
    return [binary, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


Proxy = Callable[[Path, Server, int, int, Path], list[str]]
"""Gives the command that runs it: folder for its files, the server, its own ports for pages and agents, certificate."""


@contextmanager
def running_site(proxy: Proxy, folder: Path) -> Iterator[Site]:
    """A server with a user `ann` behind this proxy, both ready."""
    authority = make_authority(folder)
    pages, agents = free_port(), free_port()
    url, agents_url = f"https://localhost:{pages}", f"https://localhost:{agents}"
    settings = {"base_url": url, "agent_url": agents_url.replace("http", "ws"), "trusted_proxies": "127.0.0.1/32"}
    settings["log_format"] = "json"
    with running_server(folder / "server", cookie_secure="true", **settings) as server:
        server.admin("create-user", "--username", "ann", "--role", "admin", RM_PASSWORD=PASSWORD)
        command = proxy(folder, server, pages, agents, folder / "here.pem")
        with running(command, folder, {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}) as output:
            trust = authority.trusting()

            def answers() -> bool:
                try:
                    return httpx.get(f"{url}/healthz", verify=trust, trust_env=False).status_code == 200
                except httpx.TransportError:
                    return False

            eventually(answers, 60, lambda: output.read_text()[-4000:])
            yield Site(server, url, agents_url, authority, proxy is not caddy, trust)
