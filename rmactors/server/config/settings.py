"""The server's settings: flag, then environment, then TOML file, then default."""

import difflib
import ipaddress
import os
import socket
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rmactors.common.logs import FORMATS, LEVELS
from rmactors.server.config.role_map import role_map
from rmactors.server.store.place import Place, PostgresUrl, url_problem

DEFAULT_FILE = Path("/etc/rmactors/rmactors.toml")
"""Where command lines look for settings when none is named."""


_NO_SETTINGS = {
    "RM_CONFIG", "RM_PASSWORD", "RM_SERVER", "RM_TOKEN", "RM_AGENT_CONFIG", "RM_AGENT_STATE_DIR",
}  # fmt: skip
"""Variables of other commands than the server."""
_HOOKS = ("RM_JOB_", "RM_PLAN", "RM_SECONDS")
"""What an agent tells its hooks."""


class SettingsError(Exception):
    """A setting cannot be used. The message names it and says what it should be. Raised before anything starts."""


def _setting(default: Any, help: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"help": help, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations are seconds, of `…_days` days, and may be fractions. Addresses are `host:port`, IPv6 in brackets,
    `*:port` for all of them."""

    listen: str = _setting("127.0.0.1:8080", "address of pages, API and /healthz")
    agent_listen: str = _setting("127.0.0.1:8081", "address of the agents' WebSocket")
    agent_url: str = _setting("", "public address of the agents' port [ws://<agent_listen>]")
    tls_cert_file: str = _setting("", "certificate chain; with it both ports speak TLS")
    tls_key_file: str = _setting("", "private key of the certificate")
    data_dir: str = _setting("./data", "where rm.db and secret.key live")
    database_url: str = _setting("", "a PostgreSQL that holds the database [<data_dir>/rm.db]", secret=True)
    lease_seconds: float = _setting(20.0, "with PostgreSQL: silence after which another node takes over")
    node_name: str = _setting("", "with PostgreSQL: what this node is called [the host name]")
    node_url: str = _setting("", "with PostgreSQL: where other nodes send browsers to this one [<base_url>]")
    require_sync: bool = _setting(False, "with PostgreSQL: true takes nothing in without a synchronous standby")
    base_url: str = _setting("", "public URL, used in links and Origin checks [http://<listen>]")
    secret_key_file: str = _setting("", "the key of stored secrets [<data_dir>/secret.key]")
    cookie_secure: bool = _setting(True, "false only for plain-HTTP use")
    trusted_proxies: str = _setting("", "networks whose X-Forwarded-* and PROXY headers are believed, comma separated")
    outbound_allow: str = _setting(
        "external,private", "where notifications may go: external, private, loopback, networks, host globs"
    )
    heartbeat_seconds: float = _setting(30.0, "pause between heartbeats, told to agents")
    offline_after_seconds: float = _setting(90.0, "silence after which a host shows as offline")
    offline_alert_seconds: float = _setting(900.0, "silence after which agent_offline is raised")
    tick_seconds: float = _setting(60.0, "the rules' tick")
    stale_grace_seconds: float = _setting(300.0, "smallest grace for a missed schedule")
    restart_grace_seconds: float = _setting(120.0, "after a start, nobody is judged silent or late before this")
    retry_max_seconds: float = _setting(86400.0, "how long a notification is retried before it is dead")
    channel_failing_seconds: float = _setting(600.0, "how long a channel may fail before channel_failing is raised")
    max_open_alerts_per_host: int = _setting(1000, "open alerts of a host; beyond, one counts the others; 0: no bound")
    action_links: bool = _setting(True, "links in messages to acknowledge or silence an alert without signing in")
    retain_job_logs_days: float = _setting(30.0, "days that the output of jobs is kept")
    retain_jobs_days: float = _setting(400.0, "days that ended jobs are kept")
    retain_alerts_days: float = _setting(400.0, "days that resolved alerts are kept")
    retain_notification_log_days: float = _setting(90.0, "days that attempts to notify are kept")
    retain_audit_days: float = _setting(400.0, "days that the audit trail is kept")
    log_format: str = _setting("text", "what the log is made of: text or json")
    log_level: str = _setting("info", "from what on is logged: debug, info, warning or error")
    watchdog_url: str = _setting("", "fetched every minute while all is well", secret=True)
    password_login: bool = _setting(True, "false: nobody signs in with a password")
    oidc_issuer: str = _setting("", "OpenID provider that users sign in through")
    oidc_client_id: str = _setting("", "what the provider calls this server")
    oidc_client_secret: str = _setting("", "the client's secret; empty for a public client", secret=True)
    oidc_role_claim: str = _setting("groups", "claim that holds a user's groups")
    oidc_roles: str = _setting("", "roles of groups, such as admins=admin,ops=operator")

    @property
    def tls(self) -> bool:
        return bool(self.tls_cert_file)

    @property
    def public_url(self) -> str:
        """`base_url` or what follows from `listen`, without a slash at the end."""
        return (self.base_url or f"{'https' if self.tls else 'http'}://{own_address(self.listen)}").rstrip("/")

    @property
    def public_agent_url(self) -> str:
        return (self.agent_url or f"{'wss' if self.tls else 'ws'}://{own_address(self.agent_listen)}").rstrip("/")

    @property
    def warnings(self) -> list[str]:
        """What works only in part as it is set, and what to do. Sentences."""
        return list(_doubts(self))

    @property
    def database(self) -> Path:
        """The file of SQLite, whether or not it is in use: see `place`."""
        return Path(self.data_dir) / "rm.db"

    @property
    def place(self) -> Place:
        """Where the database is."""
        return PostgresUrl(self.database_url) if self.database_url else self.database

    @property
    def own_node_name(self) -> str:
        return self.node_name or socket.gethostname()

    @property
    def own_node_url(self) -> str:
        return (self.node_url or self.public_url).rstrip("/")

    @property
    def key_file(self) -> Path:
        return Path(self.secret_key_file) if self.secret_key_file else Path(self.data_dir) / "secret.key"


ALL_ADDRESSES = "*"
"""As the host of an address to listen on: every address of this machine, IPv4 and IPv6."""
_ON_THIS_MACHINE = {ALL_ADDRESSES: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach it


def split_address(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as its parts; `*:port` and `:port` give `ALL_ADDRESSES`. Raises ValueError."""
    host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port")
    if host in ("", ALL_ADDRESSES):
        return ALL_ADDRESSES, int(port)
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError(f"{text!r}: only an IPv6 address stands in brackets") from None
        return host[1:-1], int(port)
    if any(character in host for character in "/@?#[] "):
        raise ValueError(f"{text!r} is not host:port")
    if ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as in [{host}]:{port}")
    if "*" in host:
        raise ValueError(f"{text!r}: * stands for all addresses, and only alone, as in *:{port}")
    return host, int(port)


def own_address(text: str) -> str:
    """`host:port` at which this machine reaches what listens on `text`: a loopback address if that is all."""
    host, port = split_address(text)
    host = _ON_THIS_MACHINE.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback_name(name: str) -> bool:
    """Whether browsers take this host name for their own machine, and so for secure."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost" or name.lower().endswith(".localhost")


def _doubts(settings: Settings) -> Iterator[str]:
    host, port = split_address(settings.listen)
    elsewhere = not is_loopback_name(host)
    public = urlsplit(settings.public_url)
    plain = public.scheme == "http" and not settings.tls
    if not settings.cookie_secure:
        yield "RM_COOKIE_SECURE is false: anyone on the network path can take over a session."
    elif plain and (elsewhere or not is_loopback_name(public.hostname or "")):
        yield (
            "Signing in from other machines will not work: the pages are served over plain HTTP, and browsers drop the"
            " session cookie there. Set RM_TLS_CERT_FILE and RM_TLS_KEY_FILE, or put a proxy that speaks TLS in front"
            " and its https:// address into RM_BASE_URL. On a network that you trust, RM_COOKIE_SECURE=false works too."
        )
    issuer = urlsplit(settings.oidc_issuer)
    if issuer.scheme == "http" and not is_loopback_name(issuer.hostname or ""):
        yield "RM_OIDC_ISSUER is plain HTTP: anyone on the network path can sign in as anybody. Use https://."
    if not settings.password_login and not settings.oidc_issuer:
        yield ("RM_PASSWORD_LOGIN is false and RM_OIDC_ISSUER is not set: only users who have a passkey can sign in.")
    if host in _ON_THIS_MACHINE and not settings.base_url:
        yield (
            f"RM_BASE_URL is not set: links in messages lead to {settings.public_url}, which works on this machine"
            f" alone, and the pages answer to addresses only, not to names. Set it to the address that people use,"
            f" such as {public.scheme}://backup.example:{port}."
        )


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ, file: str | None = None) -> Settings:
    """The settings in force. Raises SettingsError."""
    return load_with_sources(flags, environ, file)[0]


def load_with_sources(
    flags: Mapping[str, Any], environ: Mapping[str, str], file: str | None = None
) -> tuple[Settings, dict[str, str]]:
    """The settings in force, and for each name where its value came from. Raises SettingsError."""
    known: dict[str, Field[Any]] = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    sources = dict.fromkeys(known, "default")
    for name, value in _from_file(file, known).items():
        values[name], sources[name] = value, str(file)
    for name in known:
        variable = f"RM_{name.upper()}"
        named_file = environ.get(f"{variable}_FILE")
        if variable in environ and named_file:
            raise SettingsError(f"{variable} and {variable}_FILE are both set; which of them counts?")
        if variable in environ:
            values[name], sources[name] = environ[variable], variable
        elif named_file:
            values[name] = _read(named_file, variable)
            sources[name] = f"{variable}_FILE ({named_file})"
        if flags.get(name) is not None:
            values[name], sources[name] = flags[name], f"--{name.replace('_', '-')}"
    typed = {name: _typed(known[name], value, sources[name]) for name, value in values.items()}
    settings = Settings(**typed)
    _check(settings)
    return settings, sources


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each `RM_…` that means nothing to any of our programs: most often a typing error."""
    own = {f"RM_{f.name.upper()}" for f in fields(Settings)} | _NO_SETTINGS
    known = own | {f"{name}_FILE" for name in own}
    found = [name for name in environ if name.startswith("RM_") and name not in known and not name.startswith(_HOOKS)]
    return [f"unknown variable {name}{_did_you_mean(name, known)}" for name in sorted(found)]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _from_file(file: str | None, known: Mapping[str, object]) -> dict[str, Any]:
    if not file:
        return {}
    try:
        found = tomllib.loads(Path(file).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from None
    if unknown := [f"unknown key {name!r}{_did_you_mean(name, known)}" for name in found if name not in known]:
        raise SettingsError(f"{file}: {', '.join(unknown)}")
    return found


def _read(path: str, variable: str) -> str:
    try:
        return Path(path).read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}_FILE: {error}") from None


def _typed(setting: Field[Any], value: Any, source: str) -> Any:
    """The value in the type of the setting's default. Raises SettingsError."""
    match setting.default:
        case bool():
            if isinstance(value, bool):
                return value
            word = str(value).strip().lower()
            if word in {"true", "yes", "on", "1"}:
                return True
            if word in {"false", "no", "off", "0"}:
                return False
            raise SettingsError(f"{source}: {setting.name} must be true or false, not {value!r}")
        case int():
            text = str(value).strip()
            if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 10):
                raise SettingsError(f"{source}: {setting.name} must be a whole number, 0 or more, not {value!r}")
            return int(text)
        case float():
            unit = "days" if setting.name.endswith("_days") else "seconds"
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise SettingsError(f"{source}: {setting.name} must be a number of {unit}, not {value!r}") from None
            if unit == "days" and not 0 < number <= 36_500:
                raise SettingsError(f"{source}: {setting.name} must be more than 0 and at most 36,500 days")
            if not 0 <= number < 1e10 or (number == 0 and not setting.name.endswith("grace_seconds")):
                raise SettingsError(f"{source}: {setting.name} must be more than 0 seconds, not {value!r}")
            return number
        case _:
            if not isinstance(value, str):
                raise SettingsError(f"{source}: {setting.name} must be text, not {value!r}")
            return value.strip()


def _check(settings: Settings) -> None:
    for name, allowed in (("log_format", FORMATS), ("log_level", LEVELS)):
        if getattr(settings, name) not in allowed:
            raise SettingsError(f"{name} must be one of {', '.join(allowed)}")
    for name in ("listen", "agent_listen"):
        try:
            split_address(getattr(settings, name))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    if bool(settings.tls_cert_file) != bool(settings.tls_key_file):
        raise SettingsError("tls_cert_file and tls_key_file go together")
    for name, schemes in (
        ("base_url", {"http", "https"}),
        ("node_url", {"http", "https"}),
        ("agent_url", {"ws", "wss"}),
        ("watchdog_url", {"http", "https"}),
    ):
        if text := getattr(settings, name):
            _check_url(name, text, schemes)
    for name in ("base_url", "node_url"):
        if text := getattr(settings, name):
            _check_root(name, text)
    _check_oidc(settings)
    _check_database(settings)
    for network in filter(None, (part.strip() for part in settings.trusted_proxies.split(","))):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise SettingsError(f"trusted_proxies: {error}") from None


def _check_oidc(settings: Settings) -> None:
    """An issuer needs the rest, and the rest is of no use without one."""
    if not settings.oidc_issuer:
        for name in ("oidc_client_id", "oidc_client_secret", "oidc_roles"):
            if getattr(settings, name):
                raise SettingsError(f"{name} is set, but oidc_issuer is not")
        return
    _check_url("oidc_issuer", settings.oidc_issuer, {"http", "https"})
    if "?" in settings.oidc_issuer or "#" in settings.oidc_issuer or "@" in urlsplit(settings.oidc_issuer).netloc:
        raise SettingsError("oidc_issuer must have no query, no fragment and no user name")
    if not settings.oidc_client_id:
        raise SettingsError("oidc_client_id is missing: register this server at the provider, and set it to its id")
    if not settings.oidc_role_claim:
        raise SettingsError("oidc_role_claim must name the claim that holds a user's groups")
    try:
        roles = role_map(settings.oidc_roles)
    except ValueError as error:
        raise SettingsError(f"oidc_roles: {error}") from None
    if not roles:
        raise SettingsError("oidc_roles is missing, so nobody could sign in: set it, say to admins=admin,ops=operator")


def _check_url(name: str, text: str, schemes: set[str]) -> None:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if not usable or any(character.isspace() for character in text):
        raise SettingsError(f"{name} must be a URL that begins with {' or '.join(sorted(schemes))}")


def _check_database(settings: Settings) -> None:
    if settings.database_url and (problem := url_problem(settings.database_url)):
        raise SettingsError(f"database_url: {problem}")
    if settings.require_sync and not settings.database_url:
        raise SettingsError("require_sync is for PostgreSQL: set database_url too, or leave it out")
    if not 1 <= settings.lease_seconds <= 3600:
        raise SettingsError("lease_seconds must be from 1 to 3600 seconds")
    if len(settings.node_name) > 200 or not settings.node_name.isprintable():
        raise SettingsError("node_name must have at most 200 characters, all of them printable")


def _check_root(name: str, text: str) -> None:
    """The pages know no path before theirs: their links, cookies and Origin checks would all miss it."""
    parts = urlsplit(text)
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    for what, found in (
        ("a path", parts.path not in ("", "/")),
        ("a query", "?" in text),
        ("a fragment", "#" in text),
        ("a user name", "@" in parts.netloc),
    ):
        if found:
            raise SettingsError(
                f"{name} must not have {what}: the pages are always at the root of their host. Give them a host name"
                f" or a port of their own, and set it to {root}"
            )
