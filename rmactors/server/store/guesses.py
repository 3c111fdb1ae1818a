"""How wrong codes of a second factor slow down. Pure: the time is handed in.

A code has six digits and three are good at a time: who has the password and may go on without end finds one. So after
ten in a row each wrong one doubles the pause before the next. Never for good: after the longest pause a right code is
taken.
"""

from typing import Final

from rmactors.common import clock

IN_A_ROW: Final = 10
"""Wrong codes that a bad day may have. From here on it slows down, and administrators are notified."""
IN_A_SESSION: Final = 5
"""Wrong codes after which the password must be shown again."""
_FIRST_PAUSE: Final = 12 * clock.SECOND
LONGEST_PAUSE: Final = clock.HOUR


def pause_after(wrong: int) -> int:
    """Microseconds from the last of so many wrong codes in a row until the next is looked at."""
    if wrong < IN_A_ROW:
        return 0
    doublings = min(wrong - IN_A_ROW, 20)  # further ones are past the longest pause
    return min(_FIRST_PAUSE << doublings, LONGEST_PAUSE)


def wait(wrong: int, last_at: int, at: int) -> int:
    """Microseconds that are left of the pause at `at`. At most the pause itself, whatever a clock did meanwhile."""
    pause = pause_after(wrong)
    return max(0, min(pause, last_at + pause - at))


def is_alarming(wrong: int) -> bool:
    """Whether so many in a row are worth telling: at ten, and whenever they have doubled since."""
    return wrong >= IN_A_ROW and wrong % IN_A_ROW == 0 and (wrong // IN_A_ROW).bit_count() == 1
