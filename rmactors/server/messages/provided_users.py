"""Writes about users who sign in through an OpenID provider. The key is issuer and subject, never a name."""

from dataclasses import dataclass

from rmactors.common.vocabulary import Role
from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class ProvidedUser:
    """Who signed in."""

    user_id: str
    username: str


@dataclass(frozen=True, slots=True)
class WelcomeProvidedUser:
    """The provider says who it is and which role they have. Their first sign-in makes the user `new_id`, named `name`
    or, where that is taken, `name-2` and so on: a local user of that name is somebody else.

    Another role than before ends their sessions; a weaker one weakens the tokens that they made. `audit` is told about
    what was made or changed only, with the user's name and id put in. Refused `disabled`. Result: `ProvidedUser`.
    """

    issuer: str
    subject: str
    new_id: str
    name: str
    role: Role
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class DismissProvidedUser:
    """The provider gives them no role any more: their sessions end. Nothing where they were never here."""

    issuer: str
    subject: str
