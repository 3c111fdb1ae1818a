"""The one place where a password is tried: throttles first, then argon2, then the audit of what failed."""

from collections.abc import Callable
from dataclasses import replace

from rmactors.common import clock
from rmactors.server.edges.addresses import throttle_key
from rmactors.server.messages.accounts import RehashPassword
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.store.queries.accounts import Login
from rmactors.server.web.auth.passwords import LONGEST, Busy, Passwords
from rmactors.server.web.auth.throttle import Throttle
from rmactors.server.web.problems import Problem, too_many
from rmactors.server.web.services import Services

_BURST_PER_ADDRESS = 10
_BURST_PER_ACCOUNT = 5
_THEN_ONE_PER_SECONDS = 12.0


class LoginGuard:
    """Throttles and password hashes, shared by all routes that check a secret that people type.

    `client_address` gives the client's address of the request at hand.
    """

    def __init__(self, passwords: Passwords, services: Services, client_address: Callable[[], str]) -> None:
        self.passwords = passwords
        self._services = services
        self._client_address = client_address
        self._by_address = Throttle(_BURST_PER_ADDRESS, _THEN_ONE_PER_SECONDS)
        self._by_account = Throttle(_BURST_PER_ACCOUNT, _THEN_ONE_PER_SECONDS)

    def check_address(self) -> None:
        """One try from the client's address. Raises the 429."""
        self._take(self._by_address, throttle_key(self._client_address()))

    def check_account(self, account: str) -> None:
        """One try on an account (a case-folded name, or `<what>:<id>`). Raises the 429."""
        self._take(self._by_account, account[:200])

    async def try_password(self, login: Login | None, password: str, action: str) -> Login | None:
        """`login` as it is now where `password` is its own, else None; a failure goes into the audit trail as `action`.

        Takes the same time where there is no such user, a disabled one, or one who signs in elsewhere. Raises the 429
        where too many wait.
        """
        usable = login if login is not None and not login.disabled and login.issuer is None else None
        try:
            right = len(password) <= LONGEST and await self.passwords.matches(
                usable.password_hash if usable is not None else None, password
            )
            if right and usable is not None and self.passwords.is_outdated(usable.password_hash):
                newer = await self.passwords.hash(password)
                answer = await self._services.ask_store(RehashPassword(usable.id, usable.password_hash, newer))
                if isinstance(answer, Committed):
                    usable = replace(usable, password_hash=newer)
        except Busy:
            raise _busy() from None
        if not right:
            await self.note_failure(login, action)
            return None
        return usable

    async def weakness(self, password: str, username: str) -> str | None:
        """What is wrong with a new password, as a sentence; None where it will do. Raises the 429."""
        try:
            return await self.passwords.weakness(password, username)
        except Busy:
            raise _busy() from None

    async def hash(self, password: str) -> str:
        """The hash to store of a new password. Raises the 429."""
        try:
            return await self.passwords.hash(password)
        except Busy:
            raise _busy() from None

    async def note_failure(self, login: Login | None, action: str) -> None:
        """An audit row of a failed try. An unknown name is not kept: people type passwords into that field."""
        name, user_id = (login.username, login.id) if login is not None else ("unknown", "")
        audit = Audit(self._services.now(), name, "user", action, "user", user_id, self._client_address(), "failed")
        await self._services.ask_store(AppendAudit(audit))

    def _take(self, throttle: Throttle, key: str) -> None:
        wait = throttle.wait(key, self._services.now())
        if wait:
            raise too_many("Too many attempts. Wait a moment, then try again.", -(-wait // clock.SECOND))


def _busy() -> Problem:
    return too_many("Too many sign-ins at the moment. Try again in a few seconds.", 5)
