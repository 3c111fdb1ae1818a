"""A restic repository whose password costs next to nothing: restic's own scrypt takes half a second of each call.

The key file is written again with restic's own scheme (AES-256-CTR, Poly1305-AES, scrypt) and the smallest scrypt.
"""

import atexit
import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.poly1305 import Poly1305


def make_cheap(repository: Path, password: str) -> None:
    """Replace the one key of a repository in a local folder. The password stays."""
    (file,) = (repository / "keys").iterdir()
    key: dict[str, Any] = json.loads(file.read_bytes())
    sealed = base64.b64decode(key["data"])
    opened = _crypted(_derived(key, password)[:32], sealed[:16], sealed[16:-16])
    key |= {"N": 2, "r": 1, "p": 1, "salt": base64.b64encode(os.urandom(64)).decode()}
    derived, iv = _derived(key, password), os.urandom(16)
    closed = _crypted(derived[:32], iv, opened)
    key["data"] = base64.b64encode(iv + closed + _tag(derived[32:], iv, closed)).decode()
    content = json.dumps(key).encode()
    file.unlink()
    (repository / "keys" / hashlib.sha256(content).hexdigest()).write_bytes(content)


def new_repository(repository: Path, password: str) -> None:
    """An empty one with a cheap key: a copy of one that the installed restic makes once for each password."""
    shutil.copytree(_made(password), repository)


@cache
def _made(password: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="cheap-repository-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = folder / "repository"
    variables = {**os.environ, "RESTIC_REPOSITORY": str(made), "RESTIC_PASSWORD": password}
    subprocess.run(
        ["restic", "--no-cache", "init"], env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=True,
        timeout=120,
    )  # fmt: skip
    make_cheap(made, password)
    return made


def _derived(key: dict[str, Any], password: str) -> bytes:
    """32 bytes to encrypt with, then 16 and 16 for the tag."""
    return Scrypt(salt=base64.b64decode(key["salt"]), length=64, n=key["N"], r=key["r"], p=key["p"]).derive(
        password.encode()
    )


def _crypted(key: bytes, iv: bytes, data: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _tag(key: bytes, nonce: bytes, data: bytes) -> bytes:
    block = Cipher(algorithms.AES(key[:16]), modes.ECB()).encryptor()
    return Poly1305.generate_tag(key[16:] + block.update(nonce) + block.finalize(), data)
