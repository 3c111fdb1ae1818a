"""What must be there before the tree starts: the lock, the database, ports, certificates, limits. Raises StartError."""

import logging
import re
import resource
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from rmactors.common import clock
from rmactors.server.actors import janitor
from rmactors.server.channels.answers import judge_http
from rmactors.server.channels.base import ChannelSpec, Preview
from rmactors.server.channels.net.egress import OutboundPolicy, PolicyError
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import HttpEndpoint
from rmactors.server.channels.net.tls import TrustError
from rmactors.server.channels.registry import preview, shared_ssl_context
from rmactors.server.channels.request import USER_AGENT, make_request
from rmactors.server.config import action_links, data_dir
from rmactors.server.config.data_dir import DataDirTaken
from rmactors.server.config.secrets import SecretBox, SecretError
from rmactors.server.config.settings import Settings
from rmactors.server.edges.listener import Port
from rmactors.server.messages.notifications import Attempt, Notification
from rmactors.server.state.delivery import ChannelFacts
from rmactors.server.store.database import NO_ANSWER, DatabaseError, PostgresError
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.migrations import MigrationError, migrate, to_apply
from rmactors.server.store.offline import prepare, require_fit
from rmactors.server.store.place import Place
from rmactors.server.store.secret_rows import open_box

_log = logging.getLogger(__name__)

FILES_KEPT = 256
"""Open files that are never for agents' connections; if few are allowed, half of them."""


_NOT_OURS_ALONE: Final = ("42P05", "26000")
"""What PostgreSQL says of prepared statements that are there already, or gone: others use the same connection."""


class StartError(Exception):
    """The server cannot start. The message says why and what to do. Nothing was changed but the schema."""


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the data dir's lock. A second server on the same data dir is refused."""
    with ExitStack() as stack:
        try:
            stack.enter_context(data_dir.locked(Path(settings.data_dir)))
        except DataDirTaken as taken:
            raise StartError(f"{taken}; stop it, or give this one its own RM_DATA_DIR") from None
        except OSError as error:
            raise StartError(f"the data dir {settings.data_dir} cannot be used: {error}") from None
        yield


def open_data_dir(settings: Settings) -> SecretBox:
    """The database at this version's schema, and the key that opens its secrets. Raises StartError."""
    try:
        with closing(connect(prepare(settings))) as connection:
            box = open_box(connection, settings.key_file)
    except (MigrationError, SecretError) as error:
        raise StartError(str(error)) from None
    except DatabaseError as error:
        raise StartError(unusable(settings.place, error)) from None
    except OSError as error:
        raise StartError(f"the data dir {settings.data_dir} cannot be used: {error}") from None
    return box


def prepare_to_wait(settings: Settings) -> None:
    """That this node may wait for its turn on a PostgreSQL: it will do, and its schema is none of a newer version.

    A database without tables gets them; one of an older schema is left to the node that leads. Raises StartError.
    """
    try:
        with closing(connect(settings.place)) as connection:
            if require_fit(connection).has_tables:
                to_apply(connection)
            else:
                migrate(connection)
    except MigrationError as error:
        raise StartError(str(error)) from None
    except DatabaseError as error:
        raise StartError(unusable(settings.place, error)) from None


def unusable(place: Place, error: Exception) -> str:
    """Why the server does not start on its database, and what to do where that is known. Pure."""
    said = f"the database {place} cannot be used: {error}"
    prepared = isinstance(error, PostgresError) and error.sqlstate in _NOT_OURS_ALONE
    if prepared or NO_ANSWER in str(error):
        said += "; if a pooler is in between, name PostgreSQL itself, or use the pooler's session mode"
    return said


async def open_ports(*ports: Port) -> None:
    """Raises StartError, with the address, if one is taken or is not of this machine."""
    for port in ports:
        try:
            await port.open()
        except OSError as error:
            raise StartError(f"cannot listen on {port.address}: {error.strerror or error}") from None


def outbound_policy(settings: Settings) -> OutboundPolicy:
    try:
        return OutboundPolicy.parse(settings.outbound_allow)
    except PolicyError as error:
        raise StartError(str(error)) from None


def load_outbound_tls() -> ssl.SSLContext:
    try:
        return shared_ssl_context()
    except TrustError as error:
        raise StartError(str(error)) from None


def load_inbound_tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"RM_TLS_CERT_FILE and RM_TLS_KEY_FILE cannot be used: {error}") from None
    return context


def take_all_files() -> None:
    """As many open files as the system allows: each agent is one, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def files_for_agents() -> int:
    """How many connections the agents' port may have: the other files are for pages, notifications, the database."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(files // 2, files - FILES_KEPT) if files != resource.RLIM_INFINITY else 1 << 30


def channel_spec(facts: ChannelFacts, box: SecretBox) -> ChannelSpec:
    config = msgspec.json.decode(
        box.open(facts.config, associated=f"notification-channel:{facts.id}"), type=dict[str, Any]
    )
    return ChannelSpec(facts.id, facts.kind, facts.name, config, facts.default_priority)


def act_link(settings: Settings, box: SecretBox, channel_id: str, alert_id: str, at: int) -> str:
    """The link in a message of that channel with which the alert is acted on, good for a time from `at` on. Empty where
    there are none. No message is lost for the lack of one."""
    if not settings.action_links:
        return ""
    try:
        key = box.derived(action_links.PURPOSE)[0]
        return f"{settings.public_url}/act/{action_links.token_for(key, alert_id, channel_id, at)}"
    except (SecretError, ValueError) as error:
        _log.warning("a message goes out without a link to act on its alert: %s", error)
        return ""


def periods(settings: Settings) -> janitor.Periods:
    return janitor.Periods(
        settings.retain_job_logs_days, settings.retain_jobs_days, settings.retain_alerts_days,
        settings.retain_notification_log_days, settings.retain_audit_days,
    )  # fmt: skip


def watchdog_fetch(
    settings: Settings, policy: OutboundPolicy, context: ssl.SSLContext
) -> Callable[[], Awaitable[Attempt]]:
    """One GET of `RM_WATCHDOG_URL`, under the same rules as notifications. Raises StartError."""
    try:
        target = parse_url(settings.watchdog_url)
    except ValueError as error:
        raise StartError(f"RM_WATCHDOG_URL: {error}") from None
    # A server that answers "no such page" repeats the path, and the secret is a part of that.
    path = target.raw_path.decode()
    parts = (part for part in re.split(r"[/?&=]", path) if len(part) >= 8)
    secrets = (settings.watchdog_url, str(target), path, *parts)
    endpoint = HttpEndpoint(target, policy, context, clock.now, secrets)
    request = make_request(target, [("User-Agent", USER_AGENT)], b"", "GET")
    return lambda: endpoint.send(request, judge_http)


def preview_for(settings: Settings, spec: ChannelSpec, notification: Notification) -> Preview:
    return preview(spec, notification, settings.public_url)
