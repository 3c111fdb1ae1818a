"""Host names in ASCII, by IDNA 2008 as registries and browsers read them. Pure.

Python's own `idna` codec is IDNA 2003: it takes `faß.de` for `fass.de`, which is another host of somebody else's.
"""

from urllib.parse import urlsplit, urlunsplit

import idna


def to_ascii(name: str) -> str:
    """The name as DNS knows it. Raises ValueError for what is no name; one in ASCII is given back as it is."""
    if name.isascii():
        return name
    try:
        # One label at a time: in a name with ß in it, the other labels may still be `_tls` or `my_host`.
        labels = idna.uts46_remap(name, std3_rules=False, transitional=False).split(".")
        return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels)
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError(f"{name[:100]!r} is not a host name: {error}") from None


def url_to_ascii(url: str) -> str:
    """The URL with its host name in ASCII, all else as it is. Raises ValueError."""
    parts = urlsplit(url)
    user, at, rest = parts.netloc.rpartition("@")
    host, colon, port = rest.partition(":")
    if host.isascii():
        return url
    return urlunsplit(parts._replace(netloc=f"{user}{at}{to_ascii(host)}{colon}{port}"))
