"""Root works in a service's data dir (`rmactors admin`, `rmactors keys`) without locking the service's user out."""

import os
from pathlib import Path


def chown_like(place: Path, descriptor: int) -> None:
    """The open file that root just made gets the owner of `place`: its folder, or the file whose place it takes.

    Nothing happens for other users. Raises OSError.
    """
    if os.geteuid() == 0:
        owner = os.stat(place)
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
