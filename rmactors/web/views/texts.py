"""The one door through which texts for people pass, so that a translation can be put behind it.

`_` takes an English sentence, `many` picks between one and several. Templates get the same two.
"""

import gettext

translations: gettext.NullTranslations = gettext.NullTranslations()


def _(text: str) -> str:
    """The text in the viewer's language."""
    return translations.gettext(text)


def many(one: str, several: str, n: int) -> str:
    """`one` or `several`, with `%(n)s` filled in: `many("%(n)s alert", "%(n)s alerts", 3)`."""
    return translations.ngettext(one, several, n) % {"n": f"{n:,}"}
