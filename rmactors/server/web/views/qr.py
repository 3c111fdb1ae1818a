"""A text as a QR code: an inline SVG element, which a page may hold without scripts, styles or images. Pure."""

from html import escape

import segno

PIXELS_A_MODULE = 4
QUIET_ZONE = 4
"""Modules of light around the code: what scanners need."""


def svg(text: str, label: str) -> str:
    """The text as an `<svg>`, for a template to include with `| safe`: all of it is escaped or made of numbers.

    It is dark on light also where the page is dark. `label` is what screen readers say. Raises ValueError with a
    sentence for a text that is too long for a code: more than 2,331 bytes of UTF-8.
    """
    try:
        code = segno.make_qr(text, error="m", boost_error=False)
    except segno.DataOverflowError:
        raise ValueError("This is too long for a QR code.") from None
    drawn = code.svg_inline(scale=PIXELS_A_MODULE, border=QUIET_ZONE, dark="#000", light="#fff", svgclass="qr")
    return f'<svg role="img" aria-label="{escape(label)}" {drawn.removeprefix("<svg ")}'
