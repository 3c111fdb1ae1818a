"""One's own passkeys, a part of `/settings/authentication`: added, named, removed."""

from quart import Blueprint, Response, request

from rmactors.common import ids
from rmactors.server.messages.passkeys import AddPasskey, RemovePasskey
from rmactors.server.store.queries import accounts as queries
from rmactors.server.web.access import actor, audit, is_id, route, services
from rmactors.server.web.auth import passkeys, totp
from rmactors.server.web.auth.passkeys import NotGood
from rmactors.server.web.auth.sessions import renew_session
from rmactors.server.web.html import go
from rmactors.server.web.operations import account
from rmactors.server.web.pages.account import authentication_page
from rmactors.server.web.problems import Problem, not_found
from rmactors.server.web.views.texts import _

blueprint = Blueprint("passkeys", __name__)
_LONGEST_NAME = 64


@route(blueprint, "/settings/authentication/passkeys/options", role="signed_in", methods=["POST"], fresh=True)
async def ask_for_one() -> Response:
    """What the browser is to make, as JSON."""
    account.require_local(actor())
    return await passkeys.options_to_register(actor())


@route(blueprint, "/settings/authentication/passkeys", role="signed_in", methods=["POST"], fresh=True)
async def add() -> Response:
    """What the browser made (form `credential`, `name`). The first factor of a user comes with recovery codes, shown
    this once. Other sessions end, this one gets another id."""
    who, form = actor(), await request.form
    account.require_local(who)
    name = " ".join(form.get("name", "").split())
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        wrong = _("Give it a name of at most %(n)s characters.") % {"n": _LONGEST_NAME}
        return await authentication_page({"passkey": wrong}, status=422)
    codes = () if await services().reader.run(queries.recovery_codes_left, who.id) else totp.new_recovery_codes()
    try:
        made = passkeys.registered(form.get("credential", ""), who.session_id)
        write = AddPasskey(
            ids.new(), who.id, made.credential_id, made.public_key, made.sign_count, name, services().now(),
            passkeys.AT_MOST, tuple(totp.recovery_digest(code) for code in codes),
            audit("user.passkey_add", "user", who.id, name), who.session_id,
        )  # fmt: skip
        await renew_session(made.spend, write, proved=False)
    except NotGood as error:
        return await authentication_page({"passkey": str(error)}, status=422)
    except Problem as problem:
        if problem.status != 409:
            raise
        sentence = passkeys.REFUSED.get(problem.slug, problem.detail[:1].upper() + problem.detail[1:] + ".")
        return await authentication_page({"passkey": sentence}, status=409)
    if not codes:
        return go("/settings/authentication#passkeys")
    return await authentication_page({}, codes=codes)


@route(
    blueprint, "/settings/authentication/passkeys/<passkey_id>/delete", role="signed_in", methods=["POST"], fresh=True
)
async def remove(passkey_id: str) -> Response:
    """Other sessions end, this one gets another id. Where passwords are turned off, the last one stays."""
    who = actor()
    account.require_local(who)
    if not is_id(passkey_id):
        raise not_found("passkey")
    keep_one = not services().settings.password_login
    record = audit("user.passkey_remove", "user", who.id)
    try:
        await renew_session(RemovePasskey(passkey_id, who.id, keep_one, record, who.session_id), proved=False)
    except Problem as problem:
        if problem.status != 409:
            raise
        wrong = _("This passkey is your only way to sign in (RM_PASSWORD_LOGIN is false). Add another one first.")
        return await authentication_page({"passkey": wrong}, status=409)
    return go("/settings/authentication#passkeys")
