"""Writes about passkeys, and about what is good once. The refusals are those of `messages.accounts`."""

from dataclasses import dataclass

from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class AddPasskey:
    """`credential_id` in base64url, `public_key` in COSE form. `recovery_hashes`, where there are some, take the place
    of the user's recovery codes. Ends the user's sessions, except `keep_session`.

    Refused `not_found`, `conflict` (somebody has this passkey, or the user has `at_most` of them).
    """

    passkey_id: str
    user_id: str
    credential_id: str
    public_key: bytes
    sign_count: int
    name: str
    at: int
    at_most: int
    recovery_hashes: tuple[str, ...]
    audit: Audit
    keep_session: str | None = None


@dataclass(frozen=True, slots=True)
class UsePasskey:
    """It signed a challenge, with its counter at `sign_count`. Refused `not_found`, `went_back` (see
    `store.passkeys.went_back`)."""

    passkey_id: str
    sign_count: int
    at: int


@dataclass(frozen=True, slots=True)
class RemovePasskey:
    """With the last factor of a user, their recovery codes go too. Ends the user's sessions, except `keep_session`.

    `keep_one`: refused `conflict` where it is their last one. Refused `not_found` where it is not theirs.
    """

    passkey_id: str
    user_id: str
    keep_one: bool
    audit: Audit
    keep_session: str | None = None


@dataclass(frozen=True, slots=True)
class SpendOnce:
    """A challenge or a state, by its digest, is used now. Refused `spent` where it was before. Forgets those past
    their end."""

    digest: str
    at: int
    expires_at: int
