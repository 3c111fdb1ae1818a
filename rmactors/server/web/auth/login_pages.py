"""The pages of who is not signed in yet, as every way to sign in shows them."""

from urllib.parse import quote

from quart import Response

from rmactors.server.store.queries import accounts as account_queries
from rmactors.server.store.queries import passkeys as queries
from rmactors.server.store.queries.accounts import Login
from rmactors.server.web.access import services
from rmactors.server.web.auth import passkeys
from rmactors.server.web.auth.sessions import sign_in_notice
from rmactors.server.web.html import go, html
from rmactors.server.web.problems import Problem


async def login_page(status: int = 200, problem: Problem | None = None, **context: object) -> Response:
    """Template `login.html` with `next`, `username`, `error`; what ways there are is found out here."""
    has_passkeys = await services().reader.run(queries.any_passkey)
    provider = services().provider
    return await html(
        "login.html", status, problem, notice=sign_in_notice(), by_password=services().settings.password_login,
        by_passkey=has_passkeys, passkey_trouble=passkeys.trouble() if has_passkeys else "",
        passkey_origin=passkeys.here().origin, provider=provider.name if provider is not None else "",
        any_user=await services().reader.run(account_queries.any_user), **context,
    )  # fmt: skip


async def second_factor_page(
    login: Login, status: int = 200, problem: Problem | None = None, *, passkey_error: str = "", **context: object
) -> Response:
    """Template `second_factor.html` with `next`, `error` (of the code), `passkey_error`."""
    return await html(
        "second_factor.html", status, problem, has_code=login.totp_secret is not None, by_passkey=login.passkeys > 0,
        passkey_trouble=passkeys.trouble(), passkey_origin=passkeys.here().origin, passkey_error=passkey_error,
        **context,
    )  # fmt: skip


def to_login(target: str) -> Response:
    """To the login page, and back to `target` from there."""
    return go(f"/login?next={quote(target, safe='/')}")
