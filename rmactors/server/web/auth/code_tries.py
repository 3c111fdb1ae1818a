"""How often codes of a second factor may be wrong: in one sign-in, in a row, and when administrators are warned.

What is counted is in the database, so that a restart gives no new tries. Codes of the authenticator and recovery
codes are counted separately: while someone guesses the one, the owner can sign in with the other.
"""

from typing import Literal

from rmactors.common import clock
from rmactors.server.messages.answers import Committed, Refused
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.second_factors import CodeWasWrong, Tries, TryCode
from rmactors.server.store import guesses
from rmactors.server.store.queries.accounts import Login, SignedIn
from rmactors.server.web.access import audit_of, services
from rmactors.server.web.problems import raise_for_answer, too_many

Kind = Literal["totp", "recovery"]
_WORDS: dict[Kind, str] = {"totp": "totp", "recovery": "recovery code"}


class SignInEnded(Exception):
    """This sign-in has had all its codes; you get it until the password is shown again."""


def kind_of(typed: str) -> Kind:
    """What the user meant to type: some digits are a code of the authenticator."""
    plain = typed.replace(" ", "")
    return "totp" if plain.isascii() and plain.isdigit() and len(plain) <= 10 else "recovery"


async def take(login: Login, session: SignedIn, kind: Kind) -> Tries:
    """One try, counted before the code is looked at. Raises SignInEnded, and the 429 while one has to wait."""
    answer = await services().ask_store(TryCode(login.id, session.session_id, kind, services().now()))
    match answer:
        case Refused("too_early", wait):
            seconds = -(-int(wait) // clock.SECOND)
            raise too_many(f"Too many wrong codes. Try again in {_said(seconds)}.", seconds)
        case Refused("ended", _):
            raise SignInEnded
        case Committed(results=(Tries() as tries,)):
            return tries
        case _:
            raise_for_answer(answer, "session")
            raise RuntimeError(f"a code's try was answered with {answer}")


def was_the_last(tries: Tries) -> bool:
    """Whether the sign-in ends with a wrong code."""
    return tries.in_session >= guesses.IN_A_SESSION


async def note_wrong(login: Login, session: SignedIn, kind: Kind, tries: Tries) -> None:
    """The code was none. Ends the sign-in after its last try, and tells administrators of many in a row."""
    at = services().now()

    def row(action: str, detail: str) -> Audit:
        return audit_of(login.username, login.id, action, detail, "failed")

    alarm = None
    if guesses.is_alarming(tries.in_a_row):
        alarm = row("user.code_guessing", f"{tries.in_a_row} wrong in a row ({_WORDS[kind]}), by who has the password")
    wrong = row("user.second_factor", _WORDS[kind])
    ends = session.session_id if was_the_last(tries) else None
    raise_for_answer(await services().ask_store(CodeWasWrong(login.id, kind, ends, at, wrong, alarm, tries.in_a_row)))


def _said(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{-(-seconds // 60)} min"
