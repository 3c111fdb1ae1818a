"""After a run in which every kind of secret came through the front door, none is in the database, a log or an answer.

The run: first user, logins right and wrong, second factor, tokens of every kind, channels of every kind with receivers
that repeat what they are sent, a raised alert, a rotation of the key. What shows a secret on purpose, once, is taken
from the answer that shows it; all others are searched.
"""

import base64
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import trio

import rmactors.server.web.app  # noqa: F401 - fills the table of routes
from harness.agents import ended, enroll_host, simulated
from harness.processes import COMMAND, ROOT, Server, away, running_server
from rmactors.common import clock, ids
from rmactors.server.channels.config import MASK
from rmactors.server.config import action_links
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.tokens import SHOWN_PREFIX_LENGTH
from rmactors.server.web.access import ROUTES
from rmactors.server.web.auth import totp
from tests.channels.mailservers import scripted_server
from tests.channels.receivers import Request, Stream, receiving
from tests.web.lying_provider import lying_provider

from .hunt import Hunt

DECOY = "decoy-to-be-found-again-9e37"
"""No secret: the name of a channel. The search must find it wherever names are, or it could find nothing."""
SILENT = {
    "/events", "/static/<path:filename>", "/login", "/login/second-factor", "/setup",
    "/login/oidc", "/login/oidc/callback",
}  # fmt: skip
"""Not read: a stream of topic names, files of the package, forms that send on who is signed in, and the way to a
provider that this server has not."""
OF_AGENTS = {"api_looking", "snapshots", "restoring"}
"""The blueprints of what is asked of the host's agent: it is not there."""


async def echoes(stream: Stream, request: Request) -> None:
    """A receiver that fails and says why: with all that it was sent, secrets first."""
    names = sorted(request.headers, key=lambda name: name not in {"authorization", "x-api-key"})
    heard = " ".join([*(f"{name}: {request.headers[name]}" for name in names), request.line]).encode()
    body = heard + request.body
    await stream.send_all(b"HTTP/1.1 400 %b\r\nContent-Length: %d\r\n\r\n%b" % (heard[:200], len(body), body))


def repeats(connection: socket.socket, heard: list[bytes]) -> None:
    """A mail server that takes no login, and repeats what it was told in its refusal."""
    with connection.makefile("rb") as lines:
        connection.sendall(b"220 mail.test\r\n")
        while line := lines.readline():
            heard.append(line)
            if line.upper().startswith(b"EHLO"):
                connection.sendall(b"250-mail.test\r\n250 AUTH PLAIN\r\n")
            else:
                connection.sendall(b"535 5.7.8 no: " + line.strip() + b"\r\n")


class Run:
    """One server, its first admin's browser, and the hunt for what they told each other."""

    def __init__(self, server: Server, hunt: Hunt, browser: httpx.Client) -> None:
        self.server, self.hunt, self.browser = server, hunt, browser
        self.ids: dict[str, list[str]] = {"repository_id": [], "snapshot": ["latest"]}

    def post(self, path: str, body: dict[str, Any], *, method: str = "POST", status: int = 201) -> Any:
        """The JSON of an answer that may show a secret: it is not searched."""
        answer = self.browser.request(method, path, json=body)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def form(self, path: str, form: dict[str, str], *, status: int = 303) -> httpx.Response:
        answer = self.browser.post(path, data=form)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer

    def searched(self, answer: httpx.Response) -> httpx.Response:
        """An answer that must show none."""
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        place = f"{answer.request.method} {answer.request.url.path} {answer.status_code}"
        self.hunt.search(place, head.encode() + b"\n\n" + answer.content)
        return answer

    def session(self, name: str) -> None:
        """The browser's cookie is a secret from now on."""
        self.hunt.hide(name, self.browser.cookies["rm"].removeprefix("rms_"))

    # ---- chapters

    def first_user(self) -> None:
        [token] = re.findall(r"^rmu_\S+$", self.server.log, re.MULTILINE)
        self.hunt.hide("setup token", token.removeprefix("rmu_"))
        self.hunt.hide("first password", "first & <password> of anna")
        self.form("/setup", {"setup_token": token, "username": "anna", "password": "first & <password> of anna"})
        self.session("first session")

    def people(self) -> None:
        hide = self.hunt.hide
        hide("changed password", "zweites Paßwort von anna")
        self.post("/api/account/password", {"current": "first & <password> of anna", "new": "zweites Paßwort von anna"},
                  status=200)  # fmt: skip
        hide("password of bert", "bert's own long phrase")
        user = self.post("/api/users", {"username": "bert", "password": "bert's own long phrase", "role": "operator"})
        self.ids["user_id"] = [user["id"]]
        hide("password from the command line", "carla from a terminal")
        carla = ("--username", "carla", "--role", "viewer")
        self.server.admin("create-user", *carla, RM_PASSWORD="carla from a terminal")
        hide("wrong password", "mistyped-by-somebody")
        hide("password as a user name", "typed-into-the-wrong-field")
        for username, password in (("anna", "mistyped-by-somebody"), ("typed-into-the-wrong-field", "x")):
            with self.server_client() as stranger:
                answer = stranger.post("/login", data={"username": username, "password": password})
                assert answer.status_code == 422
        hide("wrong token", "wrong-token-that-somebody-sent")
        with self.server_client() as stranger:
            bearer = {"Authorization": "Bearer rma_wrong-token-that-somebody-sent"}
            self.searched(stranger.get("/api/hosts", headers=bearer))
        refused = {"current": "mistyped-by-somebody", "new": "another fine new phrase"}
        hide("refused new password", "another fine new phrase")
        self.searched(self.browser.post("/api/account/password", json=refused))
        nameless = {"username": "", "password": "another fine new phrase"}
        self.searched(self.browser.post("/settings/users", data=nameless))

    def second_factor(self) -> None:
        path = "/settings/authentication/second-factor"
        offered = self.form(path, {"step": "offer"}, status=200).text
        [text] = re.findall(r'id="secret">([A-Z2-7]+)<', offered)
        [sealed] = re.findall(r'name="sealed" value="([^"]+)"', offered)
        secret = base64.b32decode(text)
        self.hunt.hide("second factor", secret)
        self.hunt.hide("second factor as typed", text)
        step = totp.step_at(clock.now())
        shown = self.form(path, {"step": "on", "sealed": sealed, "code": totp.code(secret, step)}, status=200).text
        codes = re.findall(r"\b[a-z2-7]{4}(?:-[a-z2-7]{4}){3}\b", shown)
        assert len(codes) == 10
        for number, code in enumerate(codes):
            self.hunt.hide(f"recovery code {number}", code)
            self.hunt.hide(f"recovery code {number} without dashes", code.replace("-", ""))
        self.form("/login", {"username": "anna", "password": "zweites Paßwort von anna"})
        self.session("session that owes its second factor")
        self.form("/login/second-factor", {"code": codes[0]})
        self.session("session of a recovery code")

    def tokens(self) -> None:
        def api_token(name: str, token: str) -> str:
            self.hunt.hide(name, token[SHOWN_PREFIX_LENGTH:])
            return token

        api_token("API token", self.post("/api/tokens", {"name": "ci", "role": "admin"})["token"])
        page = self.form("/settings/tokens", {"name": "from the page", "role": "viewer"}, status=200).text
        api_token("API token of the page", re.findall(r'id="new-token">(rma_[^<]+)<', page)[0])
        api_token("API token of the command line", self.server.token)
        page = self.form("/hosts/new", {}, status=200).text
        for name, token in (
            ("enrollment token", self.post("/api/enrollment-tokens", {})["token"]),
            ("enrollment token of the command line", self.server.admin("create-enrollment-token")),
            ("enrollment token of the page", re.findall(r"rme_[\w-]{43}", page)[0]),
        ):
            self.hunt.hide(name, token.removeprefix("rme_"))

    def keys(self, name: str) -> None:
        lines = (self.server.data_dir / "secret.key").read_text().splitlines()
        [key] = [line for line in lines if not line.startswith("#")]
        self.hunt.hide(name, base64.b64decode(key))

    def links_to_act(self) -> None:
        """Those that messages carry under the key of now; receivers repeat them."""
        key = SecretBox(self.server.data_dir / "secret.key").derived(action_links.PURPOSE)[0]
        [alert_id] = self.ids["alert_id"]
        at = clock.from_rfc3339(self.server.ask("GET", f"/api/alerts/{alert_id}")["created_at"])
        channels = self.ids["channel_id"]
        tokens = [action_links.token_for(key, alert_id, channel, at) for channel in channels]
        self.ids["token"] = tokens[:2]  # those that are opened: an address may open ten links a minute
        for channel, token in zip(channels, tokens, strict=True):
            self.hunt.hide(f"link to act on channel {channel} under key {key.hex()[:8]}", token)

    def channels(self, url: str, mail_port: int) -> None:
        def hidden(name: str) -> str:
            secret = f"{name.replace(' ', '-')}-{ids.new()}"
            self.hunt.hide(name, secret)
            return secret

        webhook = {"url": f"{url}/hook", "bearer_token": hidden("bearer token"), "header_name": "X-Api-Key",
                   "header_value": hidden("header value"), "signing_secret": hidden("signing secret")}  # fmt: skip
        ntfy = {"server_url": url, "topic": "backups", "access_token": hidden("access token")}
        smtp = {"host": "127.0.0.1", "port": mail_port, "encryption": "none", "username": "postmaster",
                "password": hidden("mail password"), "from": "rm@example.org", "to": "ops@example.org"}  # fmt: skip
        slack, discord, teams = (
            {"webhook_url": f"{url}/{path}{hidden(f'webhook of {kind}')}"}
            for kind, path in (("slack", "services/"), ("discord", "api/webhooks/1/"), ("teams", "workflows/x?sig="))
        )
        telegram = {"chat_id": "-100", "bot_token": f"110201543:{hidden('bot token')}", "api_url": url}
        made = []
        for kind, name, config in (
            ("webhook", DECOY, webhook), ("ntfy", "phone", ntfy), ("smtp", "mail", smtp), ("slack", "slack", slack),
            ("discord", "discord", discord), ("teams", "teams", teams), ("telegram", "telegram", telegram),
        ):  # fmt: skip
            body = {"kind": kind, "name": name, "config": config}
            answer = self.searched(self.browser.post("/api/notifications", json=body))
            assert answer.status_code == 201, answer.text
            made.append(answer.json()["id"])
            assert self.searched(self.browser.post("/api/notifications/preview", json=body)).status_code == 200
            refused = {f"config.{key}": str(value) for key, value in config.items()} | {"kind": kind, "name": ""}
            for path in ("/settings/notifications/new", f"/settings/notifications/{made[-1]}/edit"):
                assert self.searched(self.browser.post(path, data=refused)).status_code == 422
            body["config"] = {**config, "surprise": hidden(f"secret of {kind} by another name")}
            assert self.searched(self.browser.post("/api/notifications", json=body)).status_code == 422
        self.ids["channel_id"] = made
        replaced = {**webhook, "bearer_token": hidden("replaced bearer token")}
        body = {"kind": "webhook", "name": DECOY, "config": replaced}
        assert self.searched(self.browser.put(f"/api/notifications/{made[0]}", json=body)).status_code == 200
        for channel_id in made:
            tested = self.searched(self.browser.post(f"/api/notifications/{channel_id}/test")).json()
            assert MASK in tested["error"], "the receiver repeats what it got, and the secrets in it are masked"

    async def host(self) -> None:
        credential = await enroll_host(self.server, "nas")
        self.hunt.hide("agent token", credential.token.removeprefix("rmh_"))
        async with simulated(self.server, credential) as [agent]:
            agent.report(ended("home", "failed"))
            with trio.fail_after(30):
                await agent.settled()
        await away(lambda: self._about(credential.host_id))

    def _about(self, host_id: str) -> None:
        page = self.form(f"/hosts/{host_id}/rotate-token", {}, status=200).text
        self.hunt.hide("agent token of the page", re.findall(r"rmh_([\w-]{43})", page)[0])
        rotated = self.post(f"/api/hosts/{host_id}/rotate-token", {}, status=200)["agent_token"]
        self.hunt.hide("rotated agent token", rotated.removeprefix("rmh_"))
        schedule = self.post(f"/api/hosts/{host_id}/schedules", {"name": "n", "kind": "backup", "cron": "@daily"})
        silence = self.post("/api/silences", {"reason": "r", "ends_at": "2999-01-01T00:00:00Z"})
        policy = {"name": "p", "kind": "backup", "cron": "@daily", "host_tags": ["t"]}
        self.ids["policy_id"] = [self.post("/api/policies", policy)["id"]]
        page = self.post("/api/status-pages", {"name": "wall", "show": "hosts"})
        self.hunt.hide("address of a status page", page["token"].removeprefix("rmp_"))
        self.ids |= {"page_id": [page["id"]], "address": [page["token"]]}
        self.ids |= {"host_id": [host_id], "schedule_id": [schedule["id"]], "silence_id": [silence["id"]]}
        for name in ("job", "alert"):
            [item] = self.server.all_items(f"/api/{name}s?host_id={host_id}")
            self.ids[f"{name}_id"] = [item["id"]]

    # ---- the search

    def read_everything(self) -> int:
        """Every page and every answer to a GET, by the browser and by the token. How many there were."""
        read = 0
        for (endpoint, method), rule in ROUTES.items():
            if method != "GET" or rule.path in SILENT:
                continue
            others = endpoint.partition(".")[0] in {*OF_AGENTS, "oidc"}  # nobody comes back from the provider here
            well = (200, 303, 409, 422) if others else (200, 303)
            for values in product(*(self.ids[name] for name in re.findall(r"<(\w+)>", rule.path))):
                url = re.sub(r"<\w+>", "{}", rule.path).format(*values)
                for headers in ({}, {"Authorization": f"Bearer {self.server.token}"}):
                    answer = self.browser.get(url, headers=headers)
                    assert answer.status_code in well, f"{url}: {answer.status_code}"
                    self.searched(answer)
                    read += 1
        return read

    def command(self, *arguments: str) -> int:
        """Run one on the data dir; what it says must show nothing. Its exit code."""
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=ROOT, env=self.server.environment, capture_output=True, timeout=60
        )
        self.hunt.search(f"rmactors {' '.join(arguments[:2])}", done.stdout + done.stderr)
        return done.returncode

    def read_commands(self) -> None:
        copy = self.server.folder / "copy.db"
        assert self.command("backup", str(copy)) == 0
        self.hunt.search("the copy", copy.read_bytes())
        assert self.command("config", "check") == 0
        self.command("doctor", "--json")  # may find fault with a test's server
        self.hunt.search_tables(copy)

    def read_data_dir(self) -> None:
        for path in sorted(self.server.data_dir.iterdir()):
            if path.name != "secret.key":
                self.hunt.search(f"file {path.name.removesuffix('-wal')}", path.read_bytes())
        self.hunt.search_tables(self.server.data_dir / "rm.db")

    @contextmanager
    def server_client(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.server.url, trust_env=False, timeout=120) as client:
            yield client


@asynccontextmanager
async def open_run(folder: Path) -> AsyncIterator[tuple[Run, str, int]]:
    """A server that logs all it can, and receivers at a URL and a mail port."""
    async with receiving(echoes) as receiver:
        with scripted_server(repeats) as (mail_port, _), httpx.Client(trust_env=False, timeout=120) as browser:
            hunt = Hunt()
            secret_path = f"/ping/{ids.new()}"
            hunt.hide("watchdog URL", secret_path)
            watchdog = receiver.url(secret_path)
            client_secret = f"client-secret-{ids.new()}"
            hunt.hide("OpenID client secret", client_secret)
            with (
                lying_provider() as provider,
                running_server(
                    folder, log_level="debug", watchdog_url=watchdog, oidc_issuer=provider.issuer,
                    oidc_client_id="rm", oidc_client_secret=client_secret, oidc_roles="admins=admin",
                ) as server,
            ):  # fmt: skip
                browser.base_url = httpx.URL(server.url)
                yield Run(server, hunt, browser), receiver.url(""), mail_port


async def test_no_secret_is_in_the_database_a_log_or_an_answer(tmp_path: Path) -> None:
    async with open_run(tmp_path / "server") as (run, url, mail_port):
        hunt, server = run.hunt, run.server

        def before_the_host() -> None:
            run.first_user()
            run.people()
            run.second_factor()
            run.tokens()
            run.keys("key")
            run.channels(url, mail_port)

        await away(before_the_host)
        await run.host()
        await away(run.links_to_act)
        assert await away(lambda: run.command("keys", "rotate")) == 0
        run.keys("rotated key")
        await away(run.links_to_act)
        hunt.hide("DECOY", DECOY)
        read = await away(run.read_everything)
        await away(run.read_commands)
        run.read_data_dir()
        code, _ = await away(server.stop)
        assert code == 0
        run.read_data_dir()
        hunt.search("the log", server.log.encode())

    assert read > 80
    assert hunt.searched > 500
    assert "the watchdog URL could not be fetched" in server.log
    console = [line for line in server.log.splitlines() if line.startswith("rmu_")]
    assert len(console) == 1
    assert hunt.found("setup token") == {"the log"}, "on the console, and in no other place"
    assert server.log.count(console[0]) == 1
    by_name = {"file rm.db", "channels.name", "audit.detail", "GET /api/notifications 200", "GET /api/audit 200",
               "GET /audit.csv 200", "the copy", "GET /settings/notifications 200", "GET /metrics 200"}  # fmt: skip
    assert by_name <= hunt.found("DECOY"), "the search does not find what is there"
    left_behind = {place: names - {"DECOY", "setup token"} for place, names in hunt.places.items()}
    assert {place: names for place, names in left_behind.items() if names} == {}
