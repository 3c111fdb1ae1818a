"""`/settings/authentication`: one's own password, second factor and sessions; `/account/timezone`."""

from quart import Blueprint, Response, request

from rmactors.common import cron
from rmactors.server.messages.accounts import SetTimezone
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries import passkeys as passkey_queries
from rmactors.server.web.access import actor, is_fresh, route, services
from rmactors.server.web.auth import passkeys, second_factor
from rmactors.server.web.auth.second_factor import Offer
from rmactors.server.web.html import go
from rmactors.server.web.operations import account, push
from rmactors.server.web.pages.rendering import back, field_errors, moment, page
from rmactors.server.web.problems import Problem, raise_for_answer
from rmactors.server.web.views import people
from rmactors.server.web.views.qr import svg
from rmactors.server.web.views.texts import _

blueprint = Blueprint("account", __name__)


@route(blueprint, "/settings/authentication", role="signed_in")
async def authentication() -> Response:
    changed = _("Your password was changed. Your other sessions were signed out.")
    return await authentication_page({}, told=changed if "changed" in request.args else "")


@route(blueprint, "/settings/authentication/password", role="signed_in", methods=["POST"])
async def set_password() -> Response:
    """Ends the other sessions (form `current`, `new`)."""
    form = await request.form
    try:
        await account.change_password(actor(), form.get("current", ""), form.get("new", ""))
    except Problem as problem:
        if problem.status == 429:
            return await authentication_page({"form": problem.detail}, status=429)
        return await authentication_page(field_errors(problem), status=422)
    return go("/settings/authentication?changed=1")


@route(blueprint, "/settings/authentication/sessions/<session_id>/end", role="signed_in", methods=["POST"])
async def end_session(session_id: str) -> Response:
    await account.end_session(session_id)
    return go("/settings/authentication")


@route(blueprint, "/settings/authentication/second-factor", role="signed_in", methods=["POST"], fresh=True)
async def second_factor_step() -> Response:
    """Offer a secret, take its first code, or turn it off (form `step`: `offer`, `on`, `off`; `sealed`, `code`)."""
    form, who = await request.form, actor()
    account.require_local(who)
    match form.get("step"):
        case "on":
            sealed = form.get("sealed", "")
            try:
                codes = await second_factor.turn_on(who, sealed, form.get("code", ""))
            except Problem as problem:
                again = second_factor.offer_again(who, sealed)
                return await authentication_page(field_errors(problem), status=422, offer=again)
            return await authentication_page({}, codes=codes)
        case "off":
            await second_factor.turn_off(who)
            return go("/settings/authentication")
        case _:
            return await authentication_page({}, offer=second_factor.offer(who))


@route(blueprint, "/settings/authentication/push", role="viewer", methods=["POST"], fresh=True)
async def subscribe() -> Response:
    """What the browser at hand was given by its push service (form `endpoint`, `p256dh`, `auth`, `made_for`)."""
    form = await request.form
    endpoint, p256dh, auth, made_for = (
        form.get(name, "").strip() for name in ("endpoint", "p256dh", "auth", "made_for")
    )
    try:
        device = people.device(request.headers.get("User-Agent", ""))
        await push.subscribe(endpoint, p256dh, auth, made_for, device)
    except Problem as problem:
        wrong = field_errors(problem)
        return await authentication_page({"push": wrong.get("form") or next(iter(wrong.values()))}, status=422)
    return go("/settings/authentication#push")


@route(blueprint, "/settings/authentication/push/<channel_id>/delete", role="viewer", methods=["POST"], fresh=True)
async def unsubscribe(channel_id: str) -> Response:
    await push.unsubscribe(channel_id)
    return go("/settings/authentication#push")


@route(blueprint, "/account/timezone", role="signed_in", methods=["POST"])
async def set_timezone() -> Response:
    """The zone in which times are shown (form `timezone`); back to the page one was on."""
    zone = ((await request.form).get("timezone") or "").strip()
    try:
        cron.check_zone(zone or "UTC")
    except ValueError as error:
        raise Problem(422, str(error)[:1].upper() + str(error)[1:] + ".", "invalid") from None
    raise_for_answer(await services().ask_store(SetTimezone(actor().id, zone or None)), "user")
    return await back("/")


async def authentication_page(
    errors: dict[str, str],
    *,
    status: int = 200,
    offer: Offer | None = None,
    codes: tuple[str, ...] = (),
    told: str = "",
) -> Response:
    who, now = actor(), moment()
    sessions = await account.own_sessions(who)
    login = await services().reader.run(queries.login_by_id, who.id)
    keys = await services().reader.run(passkey_queries.of_user, who.id)
    provider = services().provider
    left = await services().reader.run(queries.recovery_codes_left, who.id)
    return await page(
        "settings/authentication.html", "settings", status=status, errors=errors, offer=offer, codes=codes, told=told,
        sessions=people.session_lines(sessions.items, who.session_id, now), tab="authentication", codes_left=left,
        has_second_factor=login is not None and login.totp_secret is not None,
        passkeys=people.passkey_lines(keys, now), passkey_trouble=passkeys.trouble(),
        passkey_origin=passkeys.here().origin, password_first=not is_fresh(),
        passkey_name=people.device(request.headers.get("User-Agent", "")), by_provider=who.issuer is not None,
        provider=provider.name if provider is not None else "",
        browsers=await push.of_user(who.id), push_key=push.public_key() if who.kind == "user" else "",
        qr=svg(offer.uri, _("The key, to be scanned")) if offer is not None else "",
    )  # fmt: skip
