"""Who asks, and whether they may: every route states its role here, and one guard checks it before the route runs.

    @route(blueprint, "/api/alerts", role="viewer")
    async def list_alerts() -> Response: ...

The order of checks is the contract's: unknown host name, 401, 403 (role, cross-site, proof), 413. A route that is
not in `ROUTES` cannot be reached.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeVar, cast
from urllib.parse import quote, urlsplit

from quart import Blueprint, Quart, Response, current_app, g, request
from quart.typing import ResponseReturnValue

from rmactors.common import clock, ids
from rmactors.common.vocabulary import ROLES, Role
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.edges.addresses import one_list, said_last
from rmactors.server.messages.accounts import TouchSession
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.messages.made_tokens import Maker, TouchApiToken
from rmactors.server.store.queries import accounts as queries
from rmactors.server.web import problems
from rmactors.server.web.auth.login_guard import LoginGuard
from rmactors.server.web.auth.throttle import Throttle
from rmactors.server.web.problems import Problem
from rmactors.server.web.security import SAFE_METHODS, Perimeter, safe_next
from rmactors.server.web.services import Services
from rmactors.server.web.sizes import SizedRequest

Need = Literal["public", "signed_in", "viewer", "operator", "admin"]
View = Callable[..., Awaitable[ResponseReturnValue]]
V = TypeVar("V", bound=View)

SESSION_LIFETIME: Final = 7 * clock.DAY
SESSION_IDLE: Final = 12 * clock.HOUR
PROOF_LASTS: Final = 10 * clock.MINUTE
"""How long after showing the password a session may change users, tokens and keys, and delete things."""
_TOUCH_EVERY: Final = clock.MINUTE


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route requires of its caller, and what the API description says of it.

    fresh      a session must have shown its password within `PROOF_LASTS`
    body       type of the JSON body, None where it takes none
    answer     type of the JSON answer
    status     of the answer when all is well
    query      query parameters that it takes, and their types
    secret_address   the address itself is what lets the caller in, so its page sends no referrer, and browsers say
               `Origin: null` with its form; who does not know the address cannot send that
    holds_secret     whether the answer may show a secret; None: see `compression.py`
    """

    path: str
    need: Need
    fresh: bool = False
    body: object = None
    answer: object = None
    status: int = 200
    query: Mapping[str, object] = field(default_factory=dict)
    optional_body: bool = False
    secret_address: bool = False
    holds_secret: bool | None = None


ROUTES: Final[dict[tuple[str, str], Rule]] = {
    ("static", "GET"): Rule("/static/<path:filename>", "public"),
    ("static", "OPTIONS"): Rule("/static/<path:filename>", "public"),  # Quart makes it by itself
}
"""(endpoint, method) → rule: the one table of who may do what."""


def route(
    blueprint: Blueprint,
    path: str,
    *,
    role: Need,
    methods: Iterable[str] = ("GET",),
    fresh: bool = False,
    body: object = None,
    optional_body: bool = False,
    answer: object = None,
    status: int = 200,
    query: Mapping[str, object] = MappingProxyType({}),
    secret_address: bool = False,
    holds_secret: bool | None = None,
) -> Callable[[V], V]:
    """Register a view under `path` and its rule in `ROUTES`. HEAD comes with GET.

    `role` is `public`, `signed_in` (any role, for the user's own things) or the weakest role that may.
    """
    rule = Rule(path, role, fresh, body, answer, status, query, optional_body, secret_address, holds_secret)

    def register(view: V) -> V:
        name = getattr(view, "__name__", "view")
        taken = {method for endpoint, method in ROUTES if endpoint == f"{blueprint.name}.{name}"}
        endpoint = name if not taken else f"{name}_{len(taken)}"
        for method in methods:
            ROUTES[f"{blueprint.name}.{endpoint}", method] = rule
        blueprint.add_url_rule(
            path, endpoint, cast("Callable[..., Awaitable[ResponseReturnValue]]", view), methods=list(methods),
            provide_automatic_options=False,
        )  # fmt: skip
        return view

    return register


@dataclass(frozen=True, slots=True)
class Actor:
    """The user or token that is signed in. `name` is a user name or `token:<name>`, as audit and alerts show it.

    `owner_id` is the user themselves or the one behind a token, where that is known; `ends_at` when a token does. The
    others are of users only: a token has no session and no password; with an `issuer` (a provider) no user has one.
    """

    kind: Literal["user", "token"]
    id: str
    name: str
    role: Role
    session_id: str = ""
    proved_at: int = 0
    timezone: str | None = None
    owner_id: str | None = None
    ends_at: int | None = None
    issuer: str | None = None
    theme: str | None = None

    def may(self, role: Role) -> bool:
        """Whether this role or a stronger one is theirs."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(slots=True)
class WebState:
    """What the routes share, made once for each app."""

    services: Services
    perimeter: Perimeter
    login_guard: LoginGuard
    prove_first: Callable[[], Awaitable[Response | None]]
    """See `auth/proof.py`."""
    metrics: Callable[[], Awaitable[bytes]]
    keep_alive_seconds: float
    action_throttle: Throttle
    """How often an address may follow links in messages."""


def services() -> Services:
    """What the routes may use of the rest of the server."""
    return state().services


def state() -> WebState:
    return cast("WebState", current_app.extensions["rmactors"])


def actor() -> Actor:
    """The user or token that is signed in. Raises the 401 if there is none."""
    found = actor_or_none()
    if found is None:
        raise Problem(401, "Sign in first.", "unauthorized")
    return found


def actor_or_none() -> Actor | None:
    """The user or token that is signed in, on routes that look this up (all but public ones)."""
    return cast("Actor | None", g.get("actor"))


def client_address() -> str:
    """Where the request comes from, as far as our own proxies can tell."""
    return state().perimeter.client_address(request.remote_addr or "", forwarded("For"))


def forwarded(what: str) -> str:
    """All of `X-Forwarded-<what>`, however many lines it has. Only a trusted proxy is to be believed."""
    return one_list(request.headers.getlist(f"X-Forwarded-{what}"))


def host_header() -> str:
    """The host name that the client asked for; a trusted proxy may tell another than `Host`. What a client says itself
    stands before what a proxy adds."""
    forwarded_host = said_last(forwarded("Host")) if state().perimeter.is_proxy(request.remote_addr or "") else ""
    return forwarded_host or request.headers.get("Host", "")


def audit(action: str, target_kind: str, target_id: str, detail: str = "", result: str = "ok") -> Audit:
    """An audit row about the signed-in user or token. `action` is `<noun>.<verb>`; `detail` never holds a secret."""
    who = actor()
    return Audit(services().now(), who.name, who.kind, action, target_kind, target_id, client_address(), result, detail)


def audit_of(username: str, user_id: str, action: str, detail: str = "", result: str = "ok") -> Audit:
    """An audit row about a user and by them, on routes that they are not signed in to yet."""
    return Audit(services().now(), username, "user", action, "user", user_id, client_address(), result, detail)


def refusal(action: str, target_kind: str, target_id: str, detail: str = "") -> Audit:
    """An audit row about a refused request, also of an unknown client. The store bounds how many."""
    who = actor_or_none()
    name, kind = (who.name, who.kind) if who is not None else ("unknown", "user")
    return Audit(services().now(), name, kind, action, target_kind, target_id, client_address(), "failed", detail)


def maker() -> Maker:
    """The signed-in user or token as the creator of a token."""
    who = actor()
    return Maker(who.name, who.owner_id, who.id if who.kind == "token" else None)


def is_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"


def is_id(text: str) -> bool:
    return ids.looks_valid(text)


# ---- the guard


def install(app: Quart) -> None:
    """Put the guard before every route of the app."""
    app.before_request(_guard)


async def _guard() -> ResponseReturnValue | None:
    perimeter, host = state().perimeter, host_header()
    if not perimeter.knows_host(host):
        what_to_do = "Set RM_BASE_URL to the address that you use."
        raise Problem(421, f"This server does not have that name. {what_to_do}", "unknown-host")
    rule = rule_at_hand()
    if rule.need != "public":
        await authenticate()
        who = actor_or_none()
        if who is None:
            return await _sign_in_first()
        if rule.need != "signed_in" and not who.may(rule.need):
            await _note(refusal("access.refuse", "route", _named(rule), f"takes {rule.need}, has {who.role}"))
            raise Problem(403, f"This requires the role {rule.need}; yours is {who.role}.", "forbidden")
    cast(SizedRequest, request).take_body(public=rule.need == "public")
    if request.method not in SAFE_METHODS:
        origin = request.headers.get("Origin")
        if rule.secret_address and origin == "null":
            origin = None
        if perimeter.is_cross_site(request.headers.get("Sec-Fetch-Site"), origin, host):
            if actor_or_none() is not None:
                await _note(refusal("access.refuse", "route", _named(rule), "comes from another site"))
            raise Problem(403, "This request comes from another site.", "cross-site")
        if rule.fresh and (refused := await state().prove_first()) is not None:
            return refused
        await request.get_data(cache=True, parse_form_data=False)  # 413 here, before anything looks at it
    return None


def _named(rule: Rule) -> str:
    return f"{request.method} {rule.path}" if request.url_rule is not None else request.method


async def _note(row: Audit) -> None:
    """Keep an audit row; a store that cannot is no reason to answer otherwise."""
    await services().ask_store(AppendAudit(row))


def rule_at_hand() -> Rule:
    """That of the request at hand."""
    if request.url_rule is None:  # nothing here (404, 405, another spelling): not for strangers to learn
        return Rule(request.path, "public" if request.path in {"/favicon.ico", "/robots.txt"} else "signed_in")
    method = "GET" if request.method == "HEAD" else request.method
    rule = ROUTES.get((request.url_rule.endpoint, method))
    if rule is None:
        raise RuntimeError(f"{request.method} {request.url_rule.rule} is in no table of roles")
    return rule


async def authenticate() -> None:
    """Find out who asks: an API token where one is sent, else the session of the cookie. Sets `g.actor`."""
    g.actor = None
    header = request.headers.get("Authorization")
    if header is not None:
        g.actor = await _by_token(header)
        _tell_the_port("signed_in" if g.actor is not None else "was_wrong")
        return
    session = await current_session()
    if session is not None and session.second_factor:
        g.actor = Actor(
            "user", session.user_id, session.username, session.role, session.session_id, session.proved_at,
            session.timezone, session.user_id, issuer=session.issuer, theme=session.theme,
        )  # fmt: skip
        _tell_the_port("signed_in")


def _tell_the_port(what: Literal["signed_in", "was_wrong"]) -> None:
    """A signed-in client no longer counts among the unauthenticated connections of its address; one with an invalid
    token, which costs an audit row, counts for a while."""
    tell = request.scope.get("state", {}).get(what)
    if tell is not None:
        tell()


async def current_session() -> queries.SignedIn | None:
    """The live session of the cookie, also one that still owes its second factor."""
    found = await live_session(services(), request.cookies.get(cookie_name()))
    now = services().now()
    if found is not None and now - found.last_seen_at > _TOUCH_EVERY:
        await services().ask_store(TouchSession(found.session_id, now))
    return found


async def live_session(known_to: Services, cookie: str | None) -> queries.SignedIn | None:
    """The session of a cookie that is good still. Outside of a request too."""
    if not cookie or len(cookie) > 100:
        return None
    found = await known_to.reader.run(queries.signed_in, tokens.digest(cookie))
    now = known_to.now()
    if found is None or now >= found.expires_at or now - found.last_seen_at > SESSION_IDLE:
        return None
    return found


async def live_token(known_to: Services, header: str) -> queries.TokenInUse | None:
    """The API token in an `Authorization` header, where it is good still. Outside of a request too."""
    found = await _token(known_to, header)
    return None if found is None or _has_expired(found, known_to.now()) else found


async def _token(known_to: Services, header: str) -> queries.TokenInUse | None:
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith(tokens.API) or len(token) > 100:
        return None
    return await known_to.reader.run(queries.token_in_use, tokens.digest(token))


def _has_expired(token: queries.TokenInUse, now: int) -> bool:
    return token.expires_at is not None and now >= token.expires_at


async def _by_token(header: str) -> Actor | None:
    found, now = await _token(services(), header), services().now()
    if found is None or _has_expired(found, now):
        # What was sent is not kept, not even its beginning: people paste all kinds of secrets.
        name, token_id, why = ("unknown", "", "no such token") if found is None else (
            f"token:{found.name}", found.id, "has expired",
        )  # fmt: skip
        await _note(Audit(now, name, "token", "token.use", "token", token_id, client_address(), "failed", why))
        return None
    if found.last_used_at is None or now - found.last_used_at > _TOUCH_EVERY:
        await services().ask_store(TouchApiToken(found.id, now))
    return Actor(
        "token", found.id, f"token:{found.name}", found.role, owner_id=found.owner_id, ends_at=found.expires_at
    )


def cookie_name() -> str:
    return name_of_cookie(services().settings)


def name_of_cookie(settings: Settings) -> str:
    return "__Host-rm" if settings.cookie_secure else "rm"


def is_fresh() -> bool:
    """Whether sensitive actions are allowed: for a token, or for a session soon after its password was confirmed."""
    who = actor()
    return who.kind == "token" or services().now() - who.proved_at <= PROOF_LASTS


async def _sign_in_first() -> Response:
    """401; a browser is sent to the login page and comes back."""
    target = f"/login?next={quote(way_back(), safe='/')}"
    to_login = {"HX-Redirect": target} if is_htmx() else {}
    if problems.for_program():
        headers = {"WWW-Authenticate": "Bearer", **to_login}
        return problems.problem_response(
            Problem(401, "Sign in, or send an API token.", "unauthorized", headers=headers)
        )
    return Response("", 401, to_login) if to_login else Response("", 303, {"Location": target})


def way_back() -> str:
    """The page that the request belongs to: itself, or the page whose form or fragment it is."""
    url = request.headers.get("HX-Current-URL") if is_htmx() else None
    if url is None and request.method in SAFE_METHODS and not is_htmx():
        query = request.query_string.decode("ascii", "ignore")
        return safe_next(request.path + (f"?{query}" if query else ""))
    url = url or request.headers.get("Referer")
    if not url or not state().perimeter.is_own_url(url, host_header()):
        return "/"
    parts = urlsplit(url)
    return safe_next(parts.path + (f"?{parts.query}" if parts.query else ""))
