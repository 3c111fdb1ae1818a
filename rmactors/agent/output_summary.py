"""What matters of a program's output, gathered line by line: bounded, however much is printed. Pure.

It keeps restic's own last words, the lock it met, the trouble it retries, signs of damage and what to run against
them, and leaves out Go's stack traces. What it all means is `verdict`'s affair.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from rmactors.agent.restic_output import (
    Counts,
    ExitError,
    Item,
    ItemTrouble,
    Listing,
    Progress,
    Summary,
    Text,
    is_trace_place,
)

LONGEST_ERROR: Final = 2_000
_LAST_LINES: Final = 20
_KEPT: Final = 20
_OPERATIONS_KEPT: Final = 50
MOST_UNRESTORED: Final = 100_000

_LOCKED: Final = re.compile(
    r"already locked(?P<exclusively> exclusively)? by PID (?P<pid>\d+) on (?P<host>\S+)(?: by (?P<user>\S+))?"
)
_LOCK_AGE: Final = re.compile(r"lock was created at .*\((?P<age>\S+) ago\)")
_RETRY: Final = re.compile(
    r"^(?P<operation>\w+\([^)]*\)) returned error, retrying after (?P<pause>[\d.hmsµn]+): (?P<cause>.*)"
)
_RECOVERED: Final = re.compile(r"^(?P<operation>\w+\([^)]*\)) operation successful after \d+ retries")
_FAILED: Final = re.compile(r"^(?P<operation>\w+\([^)]*\)) failed: (?P<cause>.*)")
_SIGNAL: Final = re.compile(r"^signal (?P<name>interrupt|terminated|\w+) received, cleaning up")
_SAVED: Final = re.compile(r"^snapshot [0-9a-f]{8,64} saved\Z")
_FUNCTION: Final = re.compile(r"^[\w./@\-]+\.[\w.*()\[\]{}\-]*(\(.*\))?\Z|^created by \S+( in goroutine \d+)?\Z")
"""A line of a stack trace that names a function; the next one names its place."""
_CRASH: Final = re.compile(r"^(fatal error: |panic: |runtime/cgo: |SIG[A-Z]+: |unexpected fault address)")
_DUMP: Final = re.compile(
    r"^(\s|goroutine \d|runtime\b|created by |\[signal |stack: |PC=|(0x)?[0-9a-f]{16}:|r?[\w]{2,6} +0x[0-9a-f]+\Z|"
    r"\S+\(.*\)\Z|SIG[A-Z]+: |\.\.\.|exit status \d+\Z|fatal error: |panic: )"
)
_DAMAGE: Final = re.compile(
    r"invalid data returned|ciphertext verification failed|is damaged: |config file has zero size|"
    r"pack size does not match|does not match real size|packs from index missing|index is not complete|"
    r"unexpected file size|^(error: )?pack [0-9a-f]{4,64}: .*(does not exist|not found)|contains \d+ errors: |"
    r"(U|u)nknown blob|not found in (the )?(repository|index)|hash does not match|unexpected pack id|"
    r"Unmarshal: |data corruption|is not known; the repository could be|cached file <\w+/[0-9a-f]+> is too short|"
    r"(ReadFull|Load|LoadRaw|load|StreamPack)\W*<(data|index|snapshot|key|config)/.*"
    r"(too short|no such file|does not exist)|ReadFull: unexpected EOF",
)
_UNRESTORED: Final = re.compile(
    r"^ignoring error for (?P<path>/.+): (?P<why>.*(?P=path).*)|^ignoring error for (?P<place>/.+?): (?P<words>.*)"
)
"""restore in 0.14: `ignoring error for /srv/a: b: write /mnt/srv/a: b: no space left on device`.
A name may have colons, and most causes repeat it."""
_GOOD_NEWS: Final = "storing the file again"
"""restic met a hole in the repository, and filled it."""
_ADVICE: Final = re.compile(
    r"\brestic (?:repair (?:index|packs(?: [0-9a-f]{64})+|snapshots(?: --forget)?)|rebuild-index|prune)\b(?: --forget)?"
)
_CANNOT_REMOVE_LOCK: Final = re.compile(r"^Remove\(<lock/")
_HELPER: Final = re.compile(r"^(?:subprocess ssh|rclone): (?P<words>.*)")
_HELPERS_NOTICE: Final = re.compile(r"\b(NOTICE|INFO|DEBUG)\b|^Warning: Permanently added")


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds the repository, as restic says."""

    pid: int
    host: str
    age: str | None = None
    exclusive: bool = False

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}" + (f" since {self.age}" if self.age else "")


@dataclass(slots=True)
class OutputSummary:
    """What matters of an output, gathered item by item."""

    numbers: dict[str, Any] | None = None
    """Of restic's own summary."""
    counts: dict[str, Any] = field(default_factory=dict)
    """Numbers that stand in plain text: those of prune."""
    troubles: int = 0
    first_troubles: list[ItemTrouble] = field(default_factory=list)
    unrestored: set[str] = field(default_factory=set)
    """Paths in the snapshot that restore could not restore, as restic shows them."""
    first_unrestored: str = ""
    """Why, in plain text, of the first of them."""
    stored_again: int = 0
    """Files whose data was missing in the repository, and is there again."""
    exit_error: ExitError | None = None
    missing: list[str] = field(default_factory=list)
    last_stderr: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    last_stdout: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    first_fatal: str | None = None
    lock: Lock | None = None
    listing: Any = None
    speaks_restic: bool = False
    saved: bool = False
    """A snapshot was made, as the plain text says."""
    unchanged: bool = False
    """Nothing had changed, and so no snapshot was made, as the plain text says."""
    signalled: str | None = None
    """`interrupt` or `terminated`: the signal that restic says it got."""
    crash: str | None = None
    """The first words of a program that broke down: Go's `fatal error: …` or `panic: …`."""
    cause: str | None = None
    """Of the backend, which restic tries again and again: `connection refused (127.0.0.1:8000)`."""
    failed: str | None = None
    """Like `cause`, of the last thing that restic gave up."""
    kept_lock: str | None = None
    """Why restic could not remove its own lock."""
    damage: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    """What restic says to run against it: `restic repair index`."""
    helper: str | None = None
    """The last words of ssh or rclone."""
    _pauses: dict[str, float] = field(default_factory=dict)

    def take(self, item: Item) -> None:
        match item:
            case Text(stream=stream, text=text):
                self._take_text(stream == "stderr", text[:LONGEST_ERROR])
            case Progress():
                pass
            case Summary(numbers=numbers, advice=advice):
                self.numbers, self.speaks_restic = numbers, True
                self._advise(advice)
            case Counts(numbers=numbers):
                self.counts |= numbers
            case ItemTrouble():
                self.speaks_restic = True
                self._trouble(item)
            case ExitError(message=message):
                self.exit_error, self.speaks_restic = item, True
                for line in message.splitlines():
                    self._read_line(line[:LONGEST_ERROR])
            case Listing(value=value):
                self.listing = value
            case _:
                assert_never(item)

    @property
    def tried_seconds(self) -> float:
        """How long restic has tried what it cannot do: the pauses of the operation that it tried longest."""
        return max(self._pauses.values(), default=0.0)

    @property
    def made_a_snapshot(self) -> bool:
        return self.saved or bool(self.numbers and self.numbers.get("snapshot_id"))

    @property
    def plain_troubles(self) -> list[str]:
        """Of a backup without --json: the last files that could not be read."""
        return [
            line.removeprefix("error: ")
            for line in self.last_stderr
            if line.startswith("error: ") and _GOOD_NEWS not in line
        ]

    def _take_text(self, on_stderr: bool, text: str) -> None:
        last = self.last_stderr if on_stderr else self.last_stdout
        if is_trace_place(text):
            if last and _FUNCTION.match(last[-1]):
                last.pop()
            return
        if self.crash is not None and _DUMP.match(text):
            if _CRASH.match(text) and not self.crash.startswith(("fatal error", "panic", "runtime/cgo")):
                self.crash = text
            return
        if on_stderr and self.crash is None and _CRASH.match(text):
            self.crash = text
            return
        last.append(text)
        self._read_line(text)

    def _trouble(self, trouble: ItemTrouble) -> None:
        if _GOOD_NEWS in trouble.message:
            self.stored_again += 1
            return
        if trouble.during not in {"", "archival", "restore"}:
            return  # what the scan met is met again by the archiver
        if trouble.during == "restore":
            self._could_not_restore(trouble.item)
        self.troubles += 1
        if len(self.first_troubles) < _KEPT:
            self.first_troubles.append(trouble)
        self._look_for_damage(trouble.message)

    def _read_line(self, text: str) -> None:
        if found := _RETRY.match(text):
            self._retried(found["operation"], found["cause"], _go_seconds(found["pause"]))
            return
        if found := _RECOVERED.match(text):
            self._pauses.pop(found["operation"], None)
            self.cause = self.cause if self._pauses else None
            return
        if found := _FAILED.match(text):
            self.failed = plainly(found["cause"])
            if _CANNOT_REMOVE_LOCK.match(text):
                self.kept_lock = self.failed
        if text.startswith("Fatal:") and self.first_fatal is None:
            self.first_fatal = text
        if found := _LOCKED.search(text):
            self.lock = Lock(int(found["pid"]), found["host"], exclusive=bool(found["exclusively"]))
        elif (age := _LOCK_AGE.search(text)) and self.lock is not None:
            self.lock = Lock(self.lock.pid, self.lock.host, _short(age["age"]), self.lock.exclusive)
        elif text.endswith(" does not exist, skipping"):
            if len(self.missing) < _KEPT:
                self.missing.append(text.removesuffix(" does not exist, skipping"))
        elif found := _SIGNAL.match(text):
            self.signalled = found["name"]
        elif found := _HELPER.match(text):
            if not _HELPERS_NOTICE.search(found["words"]):
                self.helper = found["words"]
        elif _SAVED.match(text):
            self.saved = True
        elif found := _UNRESTORED.match(text):
            self._could_not_restore(found["path"] or found["place"])
            self.first_unrestored = self.first_unrestored or found["why"] or found["words"]
            self._look_for_damage(text)
        elif text == "skipped creating snapshot":
            self.unchanged = True
        elif _GOOD_NEWS in text:
            self.stored_again += 1
        else:
            self._look_for_damage(text)
            self._advise(_ADVICE.findall(text))

    def _could_not_restore(self, path: str) -> None:
        if len(self.unrestored) < MOST_UNRESTORED:
            self.unrestored.add(path)

    def _retried(self, operation: str, cause: str, pause: float) -> None:
        self.cause = plainly(cause)
        if operation in self._pauses or len(self._pauses) < _OPERATIONS_KEPT:
            self._pauses[operation] = self._pauses.get(operation, 0.0) + pause
        if _CANNOT_REMOVE_LOCK.match(operation):
            self.kept_lock = self.cause

    def _look_for_damage(self, text: str) -> None:
        if _DAMAGE.search(text) and len(self.damage) < _KEPT and text not in self.damage:
            self.damage.append(text)

    def _advise(self, commands: "tuple[str, ...] | list[str]") -> None:
        self.advice += [command for command in dict.fromkeys(commands) if command not in self.advice]
        del self.advice[3:]


def plainly(cause: str) -> str:
    """A backend's words without the request that they are about: `connection refused (127.0.0.1:8000)`."""
    cause = re.sub(r"^(?:client\.\w+: |Stat: )+", "", cause)
    cause = re.sub(r'^(?:Head|Get|Post|Put|Delete) "[^"]*": ', "", cause)
    if found := re.match(r"dial tcp (?P<address>\S+): (?:connect: )?(?P<words>.*)", cause):
        return f"{found['words']} ({found['address']})"
    return cause.removeprefix("dial tcp: ").strip()


def _go_seconds(text: str) -> float:
    """Go's `1h2m3.5s` or `552.3ms`."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|µs|ns|h|m|s)", text))


def _short(age: str) -> str:
    """Go's `1h2m3.456s` without the fraction."""
    return re.sub(r"\.\d+(?=s)", "", age)
