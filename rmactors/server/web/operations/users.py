"""Users and API tokens: checked, made, changed, deleted."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from rmactors.common import clock, ids
from rmactors.common.vocabulary import Role
from rmactors.server.config import tokens
from rmactors.server.messages.accounts import CreateUser, DeleteUser, UpdateUser
from rmactors.server.messages.made_tokens import CreateApiToken, DeleteApiToken
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.accounts import UserRow
from rmactors.server.web.access import actor, audit, is_id, maker, services, state
from rmactors.server.web.auth.names import username_problem
from rmactors.server.web.auth.sessions import renew_session
from rmactors.server.web.operations import push
from rmactors.server.web.problems import invalid_field, not_found, raise_for_answer


class UserChange(Struct, forbid_unknown_fields=True):
    """What is left out stays. Any change ends the user's sessions."""

    username: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class TokenBody(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    role: Role
    expires_days: Annotated[float, Meta(gt=0, le=36_500)] | None = None


async def create(username: str, password: str, role: Role) -> str:
    """The new user's id. Raises Problem 409 or 422."""
    check_name(username)
    password_hash = await _hashed(password, username)
    user_id = ids.new()
    record = audit("user.create", "user", user_id, f"{username} as {role}")
    write = CreateUser(user_id, username, password_hash, role, services().now(), record)
    raise_for_answer(await services().ask_store(write), "user")
    return user_id


async def change(row: UserRow, body: UserChange, *, end_tokens: bool | None = None) -> None:
    """`end_tokens` None: where they become disabled. Raises Problem 404, 409 or 422."""
    username = body.username if not isinstance(body.username, UnsetType) and body.username != row.username else None
    if username is not None:
        check_name(username)
    password_hash = None
    if not isinstance(body.password, UnsetType):
        if row.issuer is not None:
            raise invalid_field(
                "/password", "This user has no password here: they sign in through the identity provider."
            )
        password_hash = await _hashed(body.password, username or row.username)
    role = body.role if not isinstance(body.role, UnsetType) and body.role != row.role else None
    if role is not None and row.issuer is not None:
        raise invalid_field("/role", "The identity provider decides on this user's role, at each of their sign-ins.")
    disabled = None
    if not isinstance(body.disabled, UnsetType) and body.disabled != bool(row.disabled):
        disabled = body.disabled
    changes = [f"username {row.username} → {username}"] if username is not None else []
    changes += ["password"] if password_hash is not None else []
    changes += [f"role {row.role} → {role}"] if role is not None else []
    changes += [f"disabled {_yes(bool(row.disabled))} → {_yes(disabled)}"] if disabled is not None else []
    ends = disabled is True if end_tokens is None else end_tokens
    if not changes and not ends:
        return
    who = actor()
    record = audit("user.update", "user", row.id, ": ".join(filter(None, (row.username, ", ".join(changes)))))
    own = who.session_id if who.id == row.id else None
    write = UpdateUser(row.id, username, role, disabled, password_hash, record, own, ends)
    if own is not None:
        await renew_session(write, proved=False)
    else:
        browsers = await push.endings(row.id) if disabled else []
        raise_for_answer(await services().ask_store(write, *browsers), "user")


async def remove(row: UserRow, *, end_tokens: bool = True) -> None:
    """Raises Problem 404 or 409."""
    write = DeleteUser(row.id, audit("user.delete", "user", row.id, row.username), end_tokens)
    raise_for_answer(await services().ask_store(write, *await push.endings(row.id)), "user")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


async def require(user_id: str) -> UserRow:
    """The user, or the 404."""
    row = await services().reader.run(queries.user, user_id) if is_id(user_id) else None
    if row is None:
        raise not_found("user")
    return row


def check_name(username: str) -> None:
    """Raises the 422 for a user name that will not do."""
    if problem := username_problem(username):
        raise invalid_field("/username", problem)


async def check_password(password: str, username: str) -> None:
    """Raises the 422 for one that is too weak."""
    if problem := await state().login_guard.weakness(password, username):
        raise invalid_field("/password", problem)


async def _hashed(password: str, username: str) -> str:
    await check_password(password, username)
    return await state().login_guard.hash(password)


async def new_token(body: TokenBody) -> tuple[str, str]:
    """(id, token). Raises Problem 422."""
    if problem := username_problem(body.name):
        raise invalid_field("/name", problem)
    who = actor()
    if not who.may(body.role):
        raise invalid_field("/role", f"must not be stronger than your own role, {who.role}")
    token, token_id, at = tokens.make(tokens.API), ids.new(), services().now()
    expires_at = at + clock.seconds(body.expires_days * 86_400) if body.expires_days is not None else who.ends_at
    if expires_at is not None and who.ends_at is not None and expires_at > who.ends_at:
        raise invalid_field("/expires_days", "must not be later than the expiry of the token that creates it")
    record = audit("token.create", "token", token_id, f"{body.name} as {body.role}")
    write = CreateApiToken(
        token_id,
        body.name,
        body.role,
        token[: tokens.SHOWN_PREFIX_LENGTH],
        tokens.digest(token),
        at,
        expires_at,
        record,
        maker(),
    )
    raise_for_answer(await services().ask_store(write), "token")
    return token_id, token


async def revoke(token_id: str) -> None:
    """Raises Problem 404."""
    if not is_id(token_id):
        raise not_found("token")
    raise_for_answer(
        await services().ask_store(DeleteApiToken(token_id, audit("token.delete", "token", token_id))), "token"
    )
