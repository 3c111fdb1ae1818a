"""Secrets at rest: the key file, and the box that seals and opens what the database may only hold encrypted.

Owns the format of both. Knows nothing of tables (`store.secret_rows` does) and never puts a key or a plain
text into a message, a repr or a log.

A sealed value is `key id (8 bytes) | nonce (12) | AES-256-GCM ciphertext and tag`. The key id follows from the
key, so it needs no bookkeeping. The associated data says where the value belongs (`notification-channel:<id>`,
`totp:<user id>`): moved to another row, it no longer opens.

The key file is text: one base64 key a line; the first one that is not retired seals, all of them open. More than one
is there while `rmactors keys rotate` is at work, or after it was interrupted; and, on each of several nodes, from
`rmactors keys add` to the end of a rotation.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rmactors.common.disk import sync
from rmactors.server.config.ownership import chown_like

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_MAX_FILE_BYTES: Final = 64 * 1024

_HEADER: Final = (
    "# restic-manager: the key of the secrets in rm.db. Back it up apart from the database; without it they are lost.\n"
)


class SecretError(Exception):
    """A key or a sealed value cannot be used. The message says why and what to do, and holds nothing secret.

    You get it at start-up and from `keys rotate` if the key file is missing, readable by others or of another
    database; later only if somebody changed the file or the rows by hand.
    """


@dataclass(frozen=True, slots=True)
class _Key:
    id: bytes
    raw: bytes = field(repr=False)
    cipher: AESGCM = field(repr=False, compare=False)


def key_id_of(sealed: bytes) -> bytes:
    """Which key a sealed value needs."""
    return bytes(sealed[:KEY_ID_BYTES])


class SecretBox:
    """Seals with the newest key of a file, opens with any of them, and notices by itself when the file changes.

    Safe to use from several threads. Keys once seen stay known to the process, so that what was read before a
    rotation still opens after it.
    """

    def __init__(self, path: Path) -> None:
        """Use the key file at `path`, which must be there. Raises SecretError."""
        self.path = path
        self._known: dict[bytes, _Key] = {}
        self._in_file: tuple[_Key, ...] = ()
        self._retired: frozenset[bytes] = frozenset()
        self._derived: dict[str, tuple[bytes, ...]] = {}
        self._signature: tuple[int, ...] | None = None
        self._current: _Key
        self._refresh()

    def __repr__(self) -> str:
        return f"SecretBox({str(self.path)!r})"

    @classmethod
    def load_or_create(cls, path: Path) -> "SecretBox":
        """The box of the key file, which is made (mode 0600, on disk when this returns) if there is none."""
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with locked(path):
                    if not path.exists():
                        write_keys(path, [os.urandom(KEY_BYTES)])
            except OSError as error:
                raise SecretError(f"the key file {path} cannot be made: {error.strerror or error}") from None
        return cls(path)

    @property
    def current_key_id(self) -> bytes:
        """Id of the key that seals now."""
        self._refresh()
        return self._current.id

    def retire(self, key_ids: Iterable[bytes]) -> None:
        """Seal under none of these keys any more, if the file has another one: a rotation on another machine has
        replaced them, and this one's file still has them in front. They go on opening. Raises SecretError."""
        found = frozenset(key_ids)
        if found != self._retired:
            self._retired = found
            self._signature = None
        self._refresh()

    def seal(self, plain: bytes, associated: str | bytes) -> bytes:
        """Encrypt under the newest key. It opens only with the same `associated`. Raises SecretError."""
        self._refresh()
        key = self._current
        nonce = os.urandom(_NONCE_BYTES)
        return key.id + nonce + key.cipher.encrypt(nonce, plain, _as_bytes(associated))

    def open(self, sealed: bytes, associated: str | bytes) -> bytes:
        """Decrypt. Raises SecretError if the key is missing, the value was changed, or it belongs elsewhere."""
        where = _as_bytes(associated)
        if len(sealed) < KEY_ID_BYTES + _NONCE_BYTES + _TAG_BYTES:
            raise SecretError(f"the secret of {_name(where)} is damaged: it is too short to be one")
        key = self._known.get(key_id_of(sealed))
        if key is None:
            self._refresh()
            key = self._known.get(key_id_of(sealed))
        if key is None:
            raise SecretError(
                f"the secret of {_name(where)} was sealed under the key {key_id_of(sealed).hex()}, which is not in"
                f" {self.path}. Put back the key file that belongs to this database (it is part of the backup)."
            )
        nonce, rest = sealed[KEY_ID_BYTES : KEY_ID_BYTES + _NONCE_BYTES], sealed[KEY_ID_BYTES + _NONCE_BYTES :]
        try:
            return key.cipher.decrypt(bytes(nonce), bytes(rest), where)
        except InvalidTag:
            raise SecretError(
                f"the secret of {_name(where)} does not open: the stored value was changed or belongs to another row."
                " Restore the database from a backup, or enter the secret again."
            ) from None

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A key for another purpose than sealing, from each key in the file that is not retired: the first one signs,
        all of them are believed. So a rotation also ends what was signed before it. Raises SecretError."""
        self._refresh()
        keys = self._derived.get(purpose)
        if keys is None:
            keys = tuple(_derive(key.raw, purpose) for key in self._in_file)
            self._derived[purpose] = keys
        return keys

    def _refresh(self) -> None:
        """Read the file again if it is not the one that was read last."""
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if _signature(found) == self._signature:
            return
        keys, signature = _read(self.path)
        made = [_Key(key_id(raw), raw, AESGCM(raw)) for raw in keys]
        self._known = self._known | {key.id: key for key in made}
        live = tuple(key for key in made if key.id not in self._retired) or tuple(made)
        self._current, self._in_file, self._derived = live[0], live, {}
        self._signature = signature


# ---- the key file


def read_keys(path: Path) -> list[bytes]:
    """The raw keys of the file, newest first, at least one. Raises SecretError."""
    return _read(path)[0]


def key_id(raw: bytes) -> bytes:
    """The id that values sealed under this key carry in front."""
    return hashlib.sha256(b"restic-manager AES-256-GCM key id\0" + raw).digest()[:KEY_ID_BYTES]


def _derive(raw: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"restic-manager {purpose}".encode()).derive(raw)


def write_keys(path: Path, keys: Sequence[bytes]) -> None:
    """Put these keys into the file, newest first. A kill at any instant leaves the old file or the new one, whole.

    Call it under `locked`. Raises OSError.
    """
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)  # left by a process that was killed; nothing was sealed under it
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask said
            chown_like(path if path.exists() else path.parent, descriptor)
            file.write(_HEADER + "".join(f"{base64.b64encode(raw).decode()}\n" for raw in keys))
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to change the key file; waits for its holder. Raises OSError."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        chown_like(path.parent, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[list[bytes], tuple[int, ...]]:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if found.st_mode & 0o077:
        raise SecretError(
            f"the key file {path} can be used by others than its owner (mode {stat.S_IMODE(found.st_mode):04o}):"
            f" run `chmod 600 {path}`, and `rmactors keys rotate` if somebody may have read it"
        )
    return _parse(path, content), _signature(found)


def _parse(path: Path, content: bytes) -> list[bytes]:
    if len(content) == KEY_BYTES:  # head -c 32 /dev/urandom > secret.key
        return [content]
    keys = []
    for line in content.splitlines():
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != KEY_BYTES:
            raise _not_a_key_file(path)
        keys.append(raw)
    if not keys:
        raise _not_a_key_file(path)
    return keys


def _not_a_key_file(path: Path) -> SecretError:
    return SecretError(
        f"{path} is not a key file: it should hold base64 of 32 bytes, one key a line."
        " Put back the one from the backup."
    )


def _unreadable(path: Path, error: OSError) -> SecretError:
    return SecretError(
        f"the key file {path} cannot be read: {error.strerror or error}. Put back the one from the backup, readable by"
        " the server's user alone; without it the stored secrets cannot be opened."
    )


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _as_bytes(associated: str | bytes) -> bytes:
    return associated.encode() if isinstance(associated, str) else associated


def _name(associated: bytes) -> str:
    return associated.decode(errors="replace")
