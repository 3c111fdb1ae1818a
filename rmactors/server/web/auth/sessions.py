"""Opening and ending sessions: a new id at every sign-in, only its digest stored, a cookie that scripts cannot read."""

from dataclasses import replace
from typing import Literal

from quart import Response, after_this_request, g, request
from quart.typing import ResponseTypes

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.messages.accounts import CloseSession, OpenSession, RenewSession, SweepSessions
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.writes import Write
from rmactors.server.store.queries.accounts import Login, SignedIn
from rmactors.server.web.access import (
    SESSION_IDLE,
    SESSION_LIFETIME,
    actor,
    audit_of,
    client_address,
    cookie_name,
    current_session,
    forwarded,
    host_header,
    services,
    state,
)
from rmactors.server.web.problems import Problem, raise_for_answer
from rmactors.server.web.views.texts import _

OWES_SECOND_FACTOR_FOR = 10 * clock.MINUTE
PROVIDED_SESSION_LIFETIME = 8 * clock.HOUR
"""Of who signs in through an identity provider: after that at the latest, it is asked again which role they have."""
Factor = Literal["password", "totp", "recovery code", "passkey", "identity provider"]
_SIGNED_IN = "rm-signed-in"
"""A cookie for a minute, on the login page alone, with nothing secret in it: a user has just signed in here."""


async def open_session(
    login: Login,
    response: Response,
    *,
    second_factor: bool,
    factor: Factor = "password",
    writes: tuple[Write, ...] = (),
    proved_at: int | None = None,
) -> None:
    """Sign `login` in and put the cookie into `response`. The browser's earlier session ends.

    With `second_factor` False the session is good for nothing but giving the second factor. `factor` is the last one
    that was shown, for the audit trail. `writes` are committed together with the session. `proved_at`: when
    they proved who they are, if that was not just now. Raises Problem where that fails.
    """
    at = services().now()
    earlier = await current_session()
    token = tokens.make(tokens.SESSION)
    lifetime = SESSION_LIFETIME if login.issuer is None else PROVIDED_SESSION_LIFETIME
    if not second_factor:
        lifetime = OWES_SECOND_FACTOR_FOR
    audit = audit_of(login.username, login.id, "user.login", factor) if second_factor else None
    answer = await services().ask_store(
        *writes,
        SweepSessions(at, at - SESSION_IDLE),
        OpenSession(
            ids.new(), tokens.digest(token), login.id, login.password_hash, at, at + lifetime, second_factor,
            client_address(), request.headers.get("User-Agent", "")[:300].replace("\0", ""),
            earlier.session_id if earlier is not None else None, audit, at if proved_at is None else proved_at,
        ),
    )  # fmt: skip
    raise_for_answer(answer, "session")
    _set_cookie(response, token, lifetime)
    if _cookie_is_dropped():  # one that comes back all the same: see `sign_in_notice`
        response.set_cookie(_SIGNED_IN, "1", max_age=60, path="/login", httponly=True, samesite="Lax")


async def renew_session(*writes: Write, proved: bool, audit: Audit | None = None) -> None:
    """Go on under another id and another cookie, which goes out with the answer to the request at hand.

    For whenever a session becomes worth more, or what protects the account changes: a stolen old cookie is
    worthless. `writes` are committed first, in the same transaction. They name the session
    by its present id. `proved`: the password was shown just now. Raises Problem where nothing was committed.
    """
    session = await current_session()
    if session is None:  # ended in the meantime
        raise Problem(401, "Sign in first.", "unauthorized")
    at, token, new_id = services().now(), tokens.make(tokens.SESSION), ids.new()
    proved_at = at if proved else None
    renewal = RenewSession(session.session_id, new_id, tokens.digest(token), proved_at, audit)
    raise_for_answer(await services().ask_store(*writes, renewal), "session")

    @after_this_request
    def hand_out(response: ResponseTypes) -> ResponseTypes:
        _set_cookie(response, token, session.expires_at - at)
        return response

    g.actor = replace(actor(), session_id=new_id, proved_at=proved_at or session.proved_at)


def _set_cookie(response: ResponseTypes, token: str, lifetime: int) -> None:
    response.set_cookie(
        cookie_name(),
        token,
        max_age=lifetime // clock.SECOND,
        path="/",
        secure=services().settings.cookie_secure,
        httponly=True,
        samesite="Lax",
    )


def sign_in_notice() -> str:
    """Why signing in here will not work, and just now did not; else empty.

    A Secure cookie is not kept by a browser that came over plain HTTP, and the next page sends it back to the login
    page. Only for who is not signed in.
    """
    if not _cookie_is_dropped():
        return ""
    tried = _SIGNED_IN in request.cookies
    before = _("Your password was right, but your browser did not keep the session.") + " " if tried else ""
    return before + _(
        "Signing in does not work over plain HTTP at this address: the session cookie is for HTTPS only, and browsers"
        " drop it. Open this page over HTTPS (RM_TLS_CERT_FILE, or a proxy that speaks TLS). On a network that you"
        " trust, the server can be started with RM_COOKIE_SECURE=false instead."
    )


def _cookie_is_dropped() -> bool:
    plain = state().perimeter.is_plain(host_header(), forwarded("Proto"), request.remote_addr or "")
    return plain and services().settings.cookie_secure


async def close_session(session: SignedIn) -> None:
    """End the session on the server. Raises Problem where that could not be stored."""
    audit = audit_of(session.username, session.user_id, "user.logout")
    raise_for_answer(await services().ask_store(CloseSession(session.session_id, session.user_id, audit)), "session")


def forget_cookie(response: Response) -> None:
    """Have the browser drop the cookies."""
    response.delete_cookie(_SIGNED_IN, path="/login", httponly=True, samesite="Lax")
    response.delete_cookie(
        cookie_name(), path="/", secure=services().settings.cookie_secure, httponly=True, samesite="Lax"
    )
