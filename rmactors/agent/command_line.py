"""Which program a command line really starts, behind `nice`, `sudo`, `timeout` and the like. Pure.

A prefix is a program that does nothing but start another one and pass on how that ended. How each takes its options is
in one table. What is not in it is the program itself: a script, or a tool that runs restic in a way of its own.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_RESTIC: Final = re.compile(r"restic(?:[-_.]?v?\d[\w.+-]*|[-_.](?:real|bin|orig|exe|static|old|new))?")
"""`restic`, `restic-0.18`, `restic_0.18.0_linux_amd64`, `restic.real`; never `resticprofile` or `restic-backup.sh`."""


@dataclass(frozen=True, slots=True)
class _Prefix:
    """`short` and `long`: options that take the next word where no value is attached. `words` stand before the command.

    `opaque`: options with which the command is no list of words any more. `assigns`: `A=b` may stand before it.
    """

    short: str = ""
    long: frozenset[str] = frozenset()
    words: int = 0
    opaque: frozenset[str] = frozenset()
    assigns: bool = False


def _prefix(short: str = "", long: str = "", words: int = 0, opaque: str = "", *, assigns: bool = False) -> _Prefix:
    return _Prefix(short, frozenset(long.split()), words, frozenset(opaque.split()), assigns)


_PREFIXES: Final[dict[str, _Prefix]] = {
    "catatonit": _prefix(),
    "choom": _prefix("n", "adjust", opaque="-p --pid"),
    "chronic": _prefix(),
    "chrt": _prefix("TPD", "sched-runtime sched-period sched-deadline", opaque="-p --pid"),
    "chroot": _prefix("", "userspec groups", 1),
    "cpulimit": _prefix("lpe", "limit pid exe"),
    "doas": _prefix("uC", opaque="-s"),
    "dumb-init": _prefix("r", "rewrite"),
    "env": _prefix("uC", "unset chdir", opaque="-S --split-string", assigns=True),
    "flock": _prefix("wE", "timeout wait conflict-exit-code", 1, opaque="-c --command"),
    "gosu": _prefix(words=1),
    "ionice": _prefix("cn", "class classdata", opaque="-p -P -u --pid --pgid --uid"),
    "nice": _prefix("n", "adjustment"),
    "nohup": _prefix(),
    "numactl": _prefix("CmNipP", "physcpubind membind cpunodebind interleave preferred"),
    "prlimit": _prefix("", "", opaque="-p --pid"),
    "runuser": _prefix("ugGw", "user group supp-group whitelist-environment", opaque="-c --command --session-command"),
    "setpriv": _prefix(
        "", "ambient-caps inh-caps bounding-set ruid euid rgid egid reuid regid groups securebits pdeathsig "
        "selinux-label apparmor-profile landlock-access landlock-rule seccomp-filter ptracer",
    ),
    "setsid": _prefix(opaque="-f --fork"),
    "stdbuf": _prefix("ioe", "input output error"),
    "su-exec": _prefix(words=1),
    "sudo": _prefix(
        "ugpCrtTUDRac", "user group host prompt close-from role type command-timeout other-user chdir chroot auth-type "
        "login-class", opaque="-e --edit -l --list -v --validate", assigns=True,
    ),
    "systemd-cat": _prefix("tp", "identifier priority stderr-priority level-prefix namespace"),
    "systemd-inhibit": _prefix("", "what who why mode", opaque="--list"),
    "systemd-run": _prefix(
        "upEdMHS", "unit property setenv uid gid nice slice description machine host working-directory service-type "
        "on-active on-boot on-startup on-unit-active on-unit-inactive on-calendar timer-property path-property "
        "socket-property",
    ),
    "taskset": _prefix(words=1, opaque="-p --pid"),
    "time": _prefix("of", "output format"),
    "timeout": _prefix("ks", "kill-after signal", 1),
    "tini": _prefix("pe"),
    "trickle": _prefix("udwtlnL"),
    "unshare": _prefix("SGRw", "setuid setgid root wd map-user map-group map-users map-groups propagation"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """What a command line runs: its words from the program's own name on, and the prefixes before it by name."""

    words: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    time_limit: str | None = None
    """What `timeout` was told, if it is one of the prefixes."""
    is_restic: bool = field(init=False)

    def __post_init__(self) -> None:
        name = _name(self.words[0]) if self.words else ""
        object.__setattr__(self, "is_restic", _RESTIC.fullmatch(name) is not None)

    @property
    def is_dry_run(self) -> bool:
        """Whether restic was told to change nothing."""
        return self.is_restic and _asks_for_a_dry_run(self.words[1:])


def program_of(command: Sequence[str]) -> Program:
    """What `command` runs. If a prefix is used in a way that is not understood, it is the program itself."""
    words, prefixes, limit = tuple(command), [], None
    while words and (prefix := _PREFIXES.get(_name(words[0]))) is not None:
        rest = _behind(prefix, words)
        if not rest:
            break
        name = _name(words[0])
        prefixes.append(name)
        if name == "timeout":
            limit = words[len(words) - len(rest) - 1]
        words = rest
    return Program(words, tuple(prefixes), limit)


def _name(word: str) -> str:
    return os.path.basename(word)


def _behind(prefix: _Prefix, words: tuple[str, ...]) -> tuple[str, ...] | None:
    """The words that the prefix starts; None if they cannot be told."""
    at, ended = 1, False
    while at < len(words):
        word = words[at]
        if not ended and word == "--":
            ended = True
        elif prefix.assigns and _ASSIGNMENT.match(word):
            pass
        elif ended or not word.startswith("-") or (word == "-" and not prefix.assigns):
            break
        elif word.partition("=")[0] in prefix.opaque or (word[:2] in prefix.opaque and not word.startswith("--")):
            return None
        elif _takes_the_next(prefix, word):
            at += 1
        at += 1
    if _name(words[0]) == "chrt":  # its priority may be left out where the policy knows none
        at += at < len(words) and words[at].isdecimal()
    at += prefix.words
    if at < len(words) and words[at] == "--" and prefix.words:
        at += 1
    if prefix.words and at < len(words) and words[at] in prefix.opaque:
        return None  # flock FILE -c 'a line for the shell'
    return words[at:]


def _takes_the_next(prefix: _Prefix, word: str) -> bool:
    if word.startswith("--"):
        return word[2:] in prefix.long
    for place, letter in enumerate(word[1:], start=1):
        if letter in prefix.short:
            return place == len(word) - 1  # else the rest of the word is the value
    return False


# ---- restic's own flags

_LETTERS_WITH_VALUE: Final = "rpoeHgldwmyitE"
"""restic's short options that take a value, over all its commands."""
_NAMES_WITH_VALUE: Final = re.compile(
    r"i?(?:exclude|include)(?:-file)?|(?:ex|in)clude-xattr|exclude-(?:if-present|larger-than)|files-from(?:-raw|-verbatim)?|"
    r"keep-(?:last|tag|(?:within-)?(?:hourly|daily|weekly|monthly|yearly)|within)|(?:from-)?password-(?:command|file)|"
    r"(?:from-)?repo(?:sitory-file)?|(?:from-)?key-hint|limit-(?:down|up)load|new-(?:host|time)|add|cacert|cache-dir|"
    r"compression|group-by|host|http-user-agent|max-repack-size|max-unused|option|overwrite|pack-size|parent|path|"
    r"read-concurrency|remove|repack-smaller-than|retry-lock|set|stdin-filename|stuck-request-timeout|tag|target|time|"
    r"tls-client-cert|unsafe-recover-no-free-space"
)
"""Likewise the long ones, of the commands that know a dry run."""
_TRUE: Final = {"1", "t", "T", "true", "TRUE", "True"}


def _asks_for_a_dry_run(arguments: Sequence[str]) -> bool:
    """The last word on it counts, as in restic. What stands behind `--` are names of files."""
    asked, skip = False, False
    for word in arguments:
        if skip:
            skip = False
        elif word == "--":
            break
        elif word.startswith("--"):
            name, given, value = word[2:].partition("=")
            if name == "dry-run":
                asked = not given or value in _TRUE
            skip = not given and _NAMES_WITH_VALUE.fullmatch(name) is not None
        elif word.startswith("-"):
            for place, letter in enumerate(word[1:], start=1):
                rest = word[place + 1 :]
                if letter in _LETTERS_WITH_VALUE:
                    skip = not rest
                    break
                if letter == "n":
                    asked = not rest.startswith("=") or rest[1:] in _TRUE
                if rest.startswith("="):
                    break
    return asked
