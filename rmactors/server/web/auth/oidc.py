"""Signing in through an OpenID provider, and confirming there who one is.

What belongs to one sign-in (state, nonce, PKCE's verifier, where to go) waits in a cookie of the browser that started
it, sealed and for ten minutes; its state is good once. If it goes wrong, the page says so in one sentence;
the reason, never a token, is in the audit trail.
"""

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Final, Literal

from quart import Blueprint, Response, request

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.config.secrets import SecretError
from rmactors.server.messages.answers import Committed, Refused
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.messages.passkeys import SpendOnce
from rmactors.server.messages.provided_users import DismissProvidedUser, ProvidedUser, WelcomeProvidedUser
from rmactors.server.openid.provider import CALLBACK, Person, Provider, Way
from rmactors.server.openid.trouble import ProviderTrouble
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.accounts import Login
from rmactors.server.web.access import (
    actor,
    actor_or_none,
    audit,
    audit_of,
    authenticate,
    client_address,
    route,
    services,
    state,
)
from rmactors.server.web.auth.login_pages import login_page
from rmactors.server.web.auth.sessions import open_session, renew_session
from rmactors.server.web.html import go
from rmactors.server.web.problems import Problem, not_found, raise_for_answer
from rmactors.server.web.security import safe_next

blueprint = Blueprint("oidc", __name__)
_LASTS: Final = 10 * clock.MINUTE
Purpose = Literal["sign-in", "prove"]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the cookie holds. `started_at` in microseconds; `user_id` is who confirms, empty at a sign-in."""

    purpose: Purpose
    state: str
    nonce: str
    verifier: str
    next: str
    started_at: int
    user_id: str

    @property
    def way(self) -> Way:
        return Way(self.state, self.nonce, self.verifier, self.started_at // clock.SECOND)


@route(blueprint, "/login/oidc", role="public")
async def leave() -> Response:
    """To the provider. A link, not a form: browsers let no form of ours lead to another site."""
    return await _leave("sign-in", "")


@route(blueprint, "/reauthenticate/provider", role="signed_in")
async def leave_to_confirm() -> Response:
    """To the provider, which must ask again who it is."""
    if actor().issuer is None:
        return go(f"/reauthenticate?next={safe_next(request.args.get('next'))}")
    return await _leave("prove", actor().id)


@route(blueprint, CALLBACK, role="public")
async def arrive() -> Response:
    """Where the provider sends browsers back to."""
    provider = _provider()
    kept = _opened()
    response = await _arrived(provider, kept)
    response.delete_cookie(_cookie(), path="/", secure=services().settings.cookie_secure, httponly=True, samesite="Lax")
    return response


async def _leave(purpose: Purpose, user_id: str) -> Response:
    kept = _Kept(
        purpose, secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48),
        safe_next(request.args.get("next")), services().now(), user_id,
    )  # fmt: skip
    try:
        url = await _provider().leave_for(kept.way, prove=purpose == "prove")
    except ProviderTrouble as trouble:
        return await _refuse(kept, trouble)
    response = Response("", 303, {"Location": url})
    sealed = services().box.seal(json.dumps(asdict(kept)).encode(), _PLACE)
    response.set_cookie(
        _cookie(), base64.urlsafe_b64encode(sealed).decode(), max_age=_LASTS // clock.SECOND, path="/",
        secure=services().settings.cookie_secure, httponly=True, samesite="Lax",
    )  # fmt: skip
    return response


async def _arrived(provider: Provider, kept: _Kept | None) -> Response:
    now = services().now()
    said = request.args.to_dict()
    try:
        state().login_guard.check_address()
        if kept is None or not hmac.compare_digest(kept.state.encode(), said.get("state", "").encode()):
            raise ProviderTrouble(
                "This sign-in took too long, or was started in another browser or window. Start again.", "wrong state"
            )
        person = await provider.arrive(kept.way, said, now // clock.SECOND, prove=kept.purpose == "prove")
        login = await _welcome(provider, person, kept)
        spend = SpendOnce(tokens.digest(kept.state), now, kept.started_at + _LASTS)
        if kept.purpose == "prove":
            return await _confirm(login, kept, spend)
        return await _sign_in(login, person, kept, spend)
    except ProviderTrouble as trouble:
        return await _refuse(kept, trouble)
    except Problem as problem:
        if problem.status == 429:
            return await login_page(429, problem, next="/", username="", error=problem.detail)
        if problem.slug != "spent":
            raise
        return await _refuse(kept, ProviderTrouble("This sign-in was used already. Start again.", "used already"))


async def _welcome(provider: Provider, person: Person, kept: _Kept) -> Login:
    """The user here, made if they are new, with the role that the provider gives them now. Raises ProviderTrouble."""
    ask = services().ask_store
    if person.role is None:
        raise_for_answer(await ask(DismissProvidedUser(person.issuer, person.subject)))
        raise ProviderTrouble(
            f"{provider.name} let you in, but none of your groups there has a role here. Ask an administrator.",
            f"no role for {person.name}", 403,
        )  # fmt: skip
    at = services().now()
    row = Audit(at, "", "user", "", "user", "", client_address())
    answer = await ask(WelcomeProvidedUser(person.issuer, person.subject, ids.new(), person.name, person.role, at, row))
    match answer:
        case Refused("disabled", _):
            raise ProviderTrouble("Your account here is disabled.", f"{person.name} is disabled", 403)
        case Committed(results=(ProvidedUser() as user,)):
            login = await services().reader.run(queries.login_by_id, user.user_id)
            if login is not None:
                return login
    raise_for_answer(answer, "user")
    raise ProviderTrouble("Your account here was just deleted.", f"{person.name} was deleted", 403)


async def _sign_in(login: Login, person: Person, kept: _Kept, spend: SpendOnce) -> Response:
    """What is delicate counts as confirmed only if the provider said when the user proved who they are."""
    response = go(kept.next)
    proved_at = min(services().now(), clock.SECOND * person.auth_time) if person.auth_time is not None else 0
    await open_session(
        login, response, second_factor=True, factor="identity provider", writes=(spend,), proved_at=max(0, proved_at)
    )
    return response


async def _confirm(login: Login, kept: _Kept, spend: SpendOnce) -> Response:
    await authenticate()
    who = actor_or_none()
    if who is None or who.id != kept.user_id or login.id != who.id:
        raise ProviderTrouble("You confirmed as somebody else than who is signed in here.", "somebody else", 403)
    await renew_session(spend, proved=True, audit=audit("user.reauthenticate", "user", who.id, "identity provider"))
    return go(kept.next)


async def _refuse(kept: _Kept | None, trouble: ProviderTrouble) -> Response:
    """One sentence for the person, the reason for the audit trail."""
    await authenticate()
    who = actor_or_none()
    action = "user.login" if kept is None or kept.purpose == "sign-in" else "user.reauthenticate"
    name, user_id = (who.name, who.id) if who is not None else ("unknown", "")
    row = audit_of(name, user_id, action, f"identity provider: {trouble.why}", "failed")
    await services().ask_store(AppendAudit(row))
    if who is not None:
        raise Problem(trouble.status, str(trouble), "identity-provider")
    return await login_page(
        trouble.status, next=kept.next if kept is not None else "/", username="", error=str(trouble)
    )


def _provider() -> Provider:
    found = services().provider
    if found is None:
        raise not_found("page")
    return found


def _opened() -> _Kept | None:
    """What this browser keeps; None where it keeps nothing of ours, or for too long."""
    try:
        sealed = base64.urlsafe_b64decode(request.cookies.get(_cookie(), "").encode())
        kept = _Kept(**json.loads(services().box.open(sealed, _PLACE)))
    except (binascii.Error, UnicodeError, ValueError, TypeError, SecretError):
        return None
    return kept if 0 <= services().now() - kept.started_at < _LASTS else None


_PLACE: Final = "oidc"


def _cookie() -> str:
    return "__Host-rm-oidc" if services().settings.cookie_secure else "rm-oidc"
