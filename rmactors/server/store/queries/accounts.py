"""Reads of users, sessions, tokens and the audit trail."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from dataclasses import dataclass
from typing import Any

from rmactors.common.vocabulary import Role
from rmactors.server.messages.audit import Audit
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import Page, columns, read


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with what its user may do. `second_factor` 0: one is still asked for. `issuer`: the user signs in
    through that provider, and has no password here. `theme` None: never chosen."""

    session_id: str
    user_id: str
    username: str
    role: Role
    timezone: str | None
    created_at: int
    last_seen_at: int
    expires_at: int
    proved_at: int
    second_factor: int
    issuer: str | None
    theme: str | None


@dataclass(frozen=True, slots=True)
class TokenInUse:
    id: str
    name: str
    role: Role
    expires_at: int | None
    last_used_at: int | None
    owner_id: str | None


@dataclass(frozen=True, slots=True)
class Login:
    """What a sign-in is checked against. `password_hash` and `totp_secret` (encrypted) go nowhere else.

    `passkeys` counts them. With an `issuer` the user signs in through that provider alone, and the hash is empty.
    """

    id: str
    username: str
    password_hash: str
    role: Role
    disabled: int
    totp_secret: bytes | None
    totp_last_step: int | None
    passkeys: int
    issuer: str | None
    subject: str | None

    @property
    def has_second_factor(self) -> bool:
        return self.totp_secret is not None or self.passkeys > 0

    def __repr__(self) -> str:
        return f"Login({self.id}, {self.username!r})"


@dataclass(frozen=True, slots=True)
class UserRow:
    """`has_code`: an authenticator's codes are their second factor; `passkeys` counts theirs."""

    id: str
    username: str
    role: Role
    disabled: int
    created_at: int
    last_login_at: int | None
    has_code: int
    passkeys: int
    issuer: str | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    name: str
    role: Role
    prefix: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    created_by: str | None


@dataclass(frozen=True, slots=True)
class EnrollmentTokenRow:
    """Without the token. `used` of `uses` times it let a host in, `used_at` the last time; `tags` is a JSON list.
    `for_host_id` and `for_host`: the one host that it enrolls a machine as, and its name."""

    id: str
    prefix: str
    created_at: int
    expires_at: int
    created_by: str | None
    used_at: int | None
    uses: int
    used: int
    tags: str
    for_host_id: str | None
    for_host: str | None


@dataclass(frozen=True, slots=True)
class CodeAlarm:
    """Somebody who has a user's password tried many codes: `tried` in a row, when it was told last."""

    user_id: str
    username: str
    tried: int
    at: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    id: str
    created_at: int
    last_seen_at: int
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """`n` is the order of commit."""

    id: str
    n: int
    at: int
    actor: str
    actor_kind: str
    action: str
    target_kind: str
    target_id: str
    result: str
    address: str
    detail: str


_PASSKEYS = "(SELECT count(*) FROM passkeys WHERE user_id = users.id) AS passkeys"
_LOGIN = (
    "SELECT id, username, password_hash, role, disabled, totp_secret, totp_last_step,"
    f" {_PASSKEYS}, issuer, subject FROM users"
)
_USER = (
    "SELECT id, username, role, disabled, created_at, last_login_at,"
    f" CASE WHEN totp_secret IS NULL THEN 0 ELSE 1 END AS has_code, {_PASSKEYS}, issuer FROM users"
)
_AUDIT = (
    "SELECT audit.id, n, at, actor, actor_kind, audit.action, target_kind, target_id, result, audit.address,"
    " coalesce(left_out || ' more in the same hour, counted only', detail) AS detail"
    " FROM audit LEFT JOIN refusals ON refusals.audit_id = audit.id"
)
"""The row that stands for refusals which have none of their own says how many they are."""
_NEWEST = 500


def any_user(db: Database) -> bool:
    """Whether the first run is over."""
    return db.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None


def signed_in(db: Database, token_hash: str) -> SignedIn | None:
    """The session of a cookie, also one that has ended by time: the caller has the clock. Not of a disabled user."""
    row = db.execute(
        "SELECT s.id, s.user_id, u.username, u.role, u.timezone, s.created_at, s.last_seen_at, s.expires_at,"
        " s.proved_at, s.second_factor, u.issuer, u.theme FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.token_hash = ? AND u.disabled = 0",
        (token_hash,),
    ).fetchone()
    return SignedIn(*row) if row is not None else None


def token_in_use(db: Database, token_hash: str) -> TokenInUse | None:
    """The API token, also an expired one."""
    row = db.execute(f"SELECT {columns(TokenInUse)} FROM api_tokens WHERE token_hash = ?", (token_hash,)).fetchone()
    return TokenInUse(*row) if row is not None else None


def session_lives(db: Database, session_id: str, at: int, idle_before: int) -> bool:
    """Whether a session is good still, and its user enabled."""
    row = db.execute(
        "SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.id = ? AND s.expires_at > ? AND s.last_seen_at >= ? AND u.disabled = 0",
        (session_id, at, idle_before),
    ).fetchone()
    return row is not None


def token_lives(db: Database, token_id: str, at: int) -> bool:
    """Whether an API token is good still."""
    row = db.execute(
        "SELECT 1 FROM api_tokens WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)", (token_id, at)
    ).fetchone()
    return row is not None


def login_by_name(db: Database, username: str) -> Login | None:
    """Compared without regard to case."""
    if "\0" in username:  # nobody's has one, and PostgreSQL takes no such text
        return None
    row = db.execute(f"{_LOGIN} WHERE username_key = ?", (username.casefold(),)).fetchone()
    return Login(*row) if row is not None else None


def login_by_id(db: Database, user_id: str) -> Login | None:
    row = db.execute(f"{_LOGIN} WHERE id = ?", (user_id,)).fetchone()
    return Login(*row) if row is not None else None


def recovery_codes_left(db: Database, user_id: str) -> int:
    """How many unused recovery codes a user has."""
    found: int = db.execute(
        "SELECT count(*) FROM recovery_codes WHERE user_id = ? AND used_at IS NULL", (user_id,)
    ).fetchone()[0]
    return found


def users(db: Database, limit: int, after: tuple[Any, ...] | None = None) -> Page[UserRow]:
    """By name."""
    name, user_id = after or ("", "")
    rows = db.execute(
        f"{_USER} WHERE (username_key, id) > (?, ?) ORDER BY username_key, id LIMIT ?",
        (name, user_id, limit + 1),
    ).fetchall()
    items = read(UserRow, rows[:limit])
    return Page(items, (items[-1].username.casefold(), items[-1].id) if len(rows) > limit else None)


def user(db: Database, user_id: str) -> UserRow | None:
    row = db.execute(f"{_USER} WHERE id = ?", (user_id,)).fetchone()
    return UserRow(*row) if row is not None else None


def tokens(db: Database, limit: int, after: tuple[Any, ...] | None = None) -> Page[TokenRow]:
    """Newest first."""
    at, token_id = after or (1 << 62, "")
    rows = db.execute(
        f"SELECT {columns(TokenRow)} FROM api_tokens WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC"
        " LIMIT ?",
        (at, token_id, limit + 1),
    ).fetchall()
    items = read(TokenRow, rows[:limit])
    return Page(items, (items[-1].created_at, items[-1].id) if len(rows) > limit else None)


def token(db: Database, token_id: str) -> TokenRow | None:
    row = db.execute(f"SELECT {columns(TokenRow)} FROM api_tokens WHERE id = ?", (token_id,)).fetchone()
    return TokenRow(*row) if row is not None else None


def sessions(
    db: Database, user_id: str, at: int, idle_before: int, limit: int, after: tuple[Any, ...] | None = None
) -> Page[SessionRow]:
    """A user's live sessions, newest first."""
    created, session_id = after or (1 << 62, "")
    rows = db.execute(
        f"SELECT {columns(SessionRow)} FROM sessions WHERE user_id = ? AND second_factor = 1 AND expires_at > ?"
        " AND last_seen_at >= ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?",
        (user_id, at, idle_before, created, session_id, limit + 1),
    ).fetchall()
    items = read(SessionRow, rows[:limit])
    return Page(items, (items[-1].created_at, items[-1].id) if len(rows) > limit else None)


def audit(
    db: Database, limit: int, after: tuple[Any, ...] | None = None, action: str = "", actor: str = ""
) -> Page[AuditRow]:
    """Newest first; `action` and `actor` narrow it down if given."""
    (before,) = after or (1 << 62,)
    rows = db.execute(
        f"{_AUDIT} WHERE n < ? AND (? = '' OR audit.action = ?) AND (? = '' OR actor = ?) ORDER BY n DESC LIMIT ?",
        (before, action, action, actor, actor, limit + 1),
    ).fetchall()
    items = read(AuditRow, rows[:limit])
    return Page(items, (items[-1].n,) if len(rows) > limit else None)


def is_in_audit(db: Database, row: Audit, since: int) -> bool:
    """Whether one that says the same is among the newest rows, and no older than `since`."""
    found = db.execute(
        f"SELECT 1 FROM (SELECT * FROM audit ORDER BY n DESC LIMIT {_NEWEST}) AS newest WHERE at >= ? AND actor = ?"
        " AND actor_kind = ? AND action = ? AND target_kind = ? AND target_id = ? AND result = ? AND address = ?"
        " AND detail = ? LIMIT 1",
        (
            since, row.actor, row.actor_kind, row.action, row.target_kind, row.target_id, row.result, row.address,
            row.detail,
        ),
    ).fetchone()  # fmt: skip
    return found is not None


def enrollment_tokens(db: Database, limit: int, after: tuple[Any, ...] | None = None) -> Page[EnrollmentTokenRow]:
    """Newest first, used and expired ones too, until a day after their end."""
    at, token_id = after or (1 << 62, "")
    rows = db.execute(
        "SELECT t.id, t.prefix, t.created_at, t.expires_at, t.created_by, t.used_at, t.uses, t.used, t.tags,"
        " t.for_host_id, hosts.name AS for_host FROM enrollment_tokens t LEFT JOIN hosts ON hosts.id = t.for_host_id"
        " WHERE (t.created_at, t.id) < (?, ?) ORDER BY t.created_at DESC, t.id DESC LIMIT ?",
        (at, token_id, limit + 1),
    ).fetchall()
    items = read(EnrollmentTokenRow, rows[:limit])
    return Page(items, (items[-1].created_at, items[-1].id) if len(rows) > limit else None)


def code_alarms(db: Database, since: int) -> list[CodeAlarm]:
    """Users whose second factor was tried often since then, the newest first."""
    rows = db.execute(
        "SELECT user_id, username, max(alarmed), max(alarmed_at) FROM code_tries JOIN users ON users.id = user_id"
        " WHERE alarmed_at >= ? GROUP BY user_id, username ORDER BY max(alarmed_at) DESC /*pg , user_id */ LIMIT 10",
        (since,),
    ).fetchall()
    return [CodeAlarm(*row) for row in rows]
