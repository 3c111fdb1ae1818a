"""What was just done, above the page that one comes back to: a word and a number in the address. Pure.

The sentence is made here of the two, so that an address can say nothing else.
"""

from rmactors.server.web.views import bulk

PARAMETER = "done"


def sentence(text: str) -> str:
    """Of `run.12`; empty where it is nothing of the kind."""
    word, _dot, number = text.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        return ""
    return next((bulk.said(action, int(number)) for action in bulk.ACTIONS if action == word), "")
