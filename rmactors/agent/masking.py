"""Addresses of repositories without the passwords that may stand in them. Pure.

Of two readings the one is taken that shows less: an address that restic itself refuses (a `/` in the password) is told
to the server as well, in restic's words.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

_HIDDEN: Final = "***"
_SHORTEST: Final = 4
"""A password with fewer characters is hidden where it stands in an address, and not wherever its letters are."""
_URL: Final = re.compile(r"(?P<head>[A-Za-z][A-Za-z0-9+.-]*://)(?P<rest>[^\s\"'<>]+)")
_AUTHORITY: Final = re.compile(r"[^/?#]*")
_PLACE: Final = re.compile(r"(?:\[[^\]]*\]|[^:@\[\]/?#]*)(?::\d{0,5})?(?:/|\Z)")
"""A host, perhaps a port, and then the path: an `@` in that is no sign of a password."""
_NO_URL: Final = re.compile(r"(?P<head>[a-z0-9]+:[^/:@\s]*):(?P<secret>[^/\s]*)@")
"""`sftp:user:password@host`: no form that restic knows, and so no reason to tell it."""
_NAMED: Final = re.compile(r"(?i)(\b\w*(?:pass|secret|token|key)\w*=)[^,:&/\s\"']+")
"""As in rclone's `:sftp,host=x,pass=y:path`."""


def shown(address: str) -> str:
    """The address of a repository, fit to be told. What stands between the first `:` behind a user's name and the last
    `@` is the password: `rest:http://me:***@nas/`."""
    if "://" in address:
        head, _, rest = address.partition("://")
        return _NAMED.sub(rf"\1{_HIDDEN}", f"{head}://{_without_password(rest)}")
    return _NAMED.sub(rf"\1{_HIDDEN}", _NO_URL.sub(rf"\g<head>:{_HIDDEN}@", address, count=1))


def masked(text: str) -> str:
    """Words of a program, with the passwords hidden that stand in the URLs among them."""
    if "://" not in text:
        return text
    return _URL.sub(lambda found: found["head"] + _without_password(found["rest"]), text)


@dataclass(frozen=True, slots=True)
class Mask:
    """Hides the password in the address of one repository, also if a program quotes it in another spelling."""

    address: str

    def __call__(self, text: str) -> str:
        for secret in self._secrets():
            text = text.replace(secret, _HIDDEN)
        return masked(text)

    def _secrets(self) -> list[str]:
        hidden = shown(self.address)
        if hidden == self.address:
            return []
        before, _, after = hidden.partition(_HIDDEN)
        password = self.address[len(before) : len(self.address) - len(after)]
        spellings = {password, unquote(password), quote(unquote(password), safe=""), quote(password, safe="")}
        spellings |= set(re.split(r"[/?#@]", password))  # restic quotes an address that it cannot read up to these
        return sorted((one for one in spellings if len(one) >= _SHORTEST), key=len, reverse=True)


def _without_password(rest: str) -> str:
    """What stands behind `://`."""
    authority = _AUTHORITY.match(rest)
    assert authority is not None
    if "@" not in rest or ("@" not in authority[0] and _PLACE.match(rest)):
        return rest  # an `@` in the path alone
    userinfo, _, place = rest.rpartition("@")
    user, given, _ = userinfo.partition(":")
    if given:
        return f"{user}:{_HIDDEN}@{place}"
    return rest  # a name without a password
