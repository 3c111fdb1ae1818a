"""The one door through which texts for people pass, so that a translation can be put behind it.

`_` takes an English sentence, `many` picks between one and several, `later` marks one for a table; templates get the
first two. So a catalogue of all of them can be made with `-k _ -k many:1,2 -k later`, and `-k AlertTraits:1`
for the kinds of alerts, and `-k Kind:2 -k Kind:3 -k Field:2 -k Field:3 -k Choice:2` for those of channels.
"""

import gettext

translations: gettext.NullTranslations = gettext.NullTranslations()


def _(text: str) -> str:
    """The text in the viewer's language."""
    return translations.gettext(text)


def later(text: str) -> str:
    """The text as it is: marks one that is kept in a table and goes through `_` where it is shown."""
    return text


def many(one: str, several: str, n: int) -> str:
    """`one` or `several`, with `%(n)s` filled in: `many("%(n)s alert", "%(n)s alerts", 3)`."""
    return translations.ngettext(one, several, n) % {"n": f"{n:,}"}
