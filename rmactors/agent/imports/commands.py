"""Which job of restic a command line does, directly, through another tool, or through a script. Pure.

A script's text is asked for with `Scripts`; this module reads no files.
"""

import itertools
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from rmactors.agent.command_line import program_of
from rmactors.agent.imports.found import name_of
from rmactors.common.vocabulary import JobKind

Scripts = Callable[[str], str | None]
"""The text of the script that a word names; None where it is none, or cannot be read."""
KINDS: Final = ("backup", "forget", "prune", "check", "init", "unlock", "restore", "diff", "snapshots")
"""restic's own commands that are kinds of job, the most important first."""
_OTHERS: Final = {
    "cache", "cat", "copy", "dump", "features", "find", "generate", "key", "list", "ls", "migrate", "mount", "options",
    "rebuild-index", "recover", "repair", "rewrite", "self-update", "stats", "tag", "version",
}  # fmt: skip
_TAKES_A_VALUE: Final = {
    "-r", "--repo", "--repository-file", "-p", "--password-file", "--password-command", "-o", "--option", "--cacert",
    "--cache-dir", "--limit-upload", "--limit-download", "--tls-client-cert", "--key-hint", "--pack-size",
    "--retry-lock", "--compression", "--http-user-agent", "--stuck-request-timeout",
}  # fmt: skip
_KEYWORDS: Final = {"if", "then", "else", "elif", "while", "until", "do", "!", "{", "(", "exec", "command", "builtin"}
_OPERATORS: Final = re.compile(r"[;&|()]+|\n")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=", re.ASCII)
_VARIABLE: Final = re.compile(r"\$\{?\w*restic\w*\}?", re.IGNORECASE | re.ASCII)
_SHELLS: Final = {"sh", "bash", "dash", "ash", "zsh", "ksh"}
_DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class Use:
    """One use of restic. `name` is how a schedule of it may be called; `script` the script that does it, if one does;
    `job` what a tool calls it (`backup@default`), if one does."""

    kind: JobKind
    name: str
    script: str = ""
    job: str = ""
    reported: bool = False
    """Whether `agent exec` stands before it already; `name` is the schedule's then."""


def no_scripts(_: str) -> None:
    """For where no script is to be read."""


def uses(words: Sequence[str], scripts: Scripts = no_scripts, depth: int = 0) -> list[Use]:
    """The uses of restic in a command given as words, in order."""
    program = program_of(list(words)).words
    if not program or depth > _DEEPEST:
        return []
    name, rest = program[0].rpartition("/")[2], program[1:]
    if program_of(program).is_restic or _VARIABLE.fullmatch(program[0]):
        return _of_restic(rest)
    if name == "rmactors" or program[1:3] == ("-m", "rmactors"):
        return _of_exec(rest, scripts, depth)
    if name == "resticprofile":
        return _of_resticprofile(rest)
    if name == "autorestic":
        return _of_autorestic(rest)
    if name in _SHELLS:
        return _of_shell_call(rest, scripts, depth)
    return _of_script(program[0], scripts, depth)


def uses_of_shell(text: str, scripts: Scripts = no_scripts, depth: int = 0) -> list[Use]:
    """The same for a line, or a whole script, that a shell would read."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        for command in _simple_commands(line):
            found += uses(command, scripts, depth)
    return found


def main_use(found: Sequence[Use]) -> Use | None:
    """What is reported of several uses: the backup, where one is among them."""
    return min(found, key=lambda use: KINDS.index(use.kind), default=None)


def beside(main: Use, found: Sequence[Use]) -> list[str]:
    """What is said of the other kinds of job that one command does."""
    others = sorted({use.kind for use in found} - {main.kind}, key=KINDS.index)
    return [f"it does {' and '.join(others)} as well: a run is reported as one job"] if others else []


def said_of(main: Use, found: Sequence[Use]) -> list[str]:
    """What is said of a command that does this."""
    said = beside(main, found)
    if main.script:
        said.append(f"by its script {main.script}")
    if main.job == "autorestic cron":
        said.append("it looks which locations are due: `agent import autorestic` has them one by one")
    return said


def is_plain(text: str) -> bool:
    """Whether it is one command for a shell, with redirections at most: then `exec` can stand before it."""
    try:
        tokens = _tokens(text)
    except ValueError:
        return False
    return bool(tokens) and not any(_OPERATORS.fullmatch(each) for each in tokens) and tokens[0] not in _KEYWORDS


def wrapped(command: str, before: str) -> str:
    """A shell's command with `exec` before it."""
    given, plain = assignments_before(command)
    return f"{given}{before} {plain}" if is_plain(plain) else f"{before} sh -c {shlex.quote(command)}"


def is_open(text: str) -> bool:
    """Whether a quotation in it has no end: a shell would refuse it."""
    try:
        _tokens(text)
    except ValueError:
        return True
    return False


def assignments_before(text: str) -> tuple[str, str]:
    """`A=b C=d` at the beginning of a command line, and the rest."""
    found = re.match(r"(?:[A-Za-z_]\w*=(?:'[^']*'|\"[^\"]*\"|[^\s'\"])*\s+)+", text, re.ASCII)
    return (found.group(), text[found.end() :]) if found else ("", text)


def _simple_commands(line: str) -> Iterator[list[str]]:
    try:
        tokens = _tokens(line)
    except ValueError:  # a quotation that goes on on the next line
        return
    command: list[str] = []
    for token in [*tokens, ";"]:
        if _OPERATORS.fullmatch(token):
            if command:
                yield command
            command = []
        elif not command and (token in _KEYWORDS or _ASSIGNMENT.match(token)):
            continue
        else:
            command.append(token)


def _tokens(text: str) -> list[str]:
    """As a shell splits a line; redirections are left out. Raises ValueError for an open quotation."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    found: list[str] = []
    skip = False
    for token in lexer:
        if re.fullmatch(r"[<>]+[&|]?|&>+", token):
            if found and found[-1].isdecimal():
                found.pop()
            skip = True
        elif skip:
            skip = False
        else:
            found.append(token)
    return found


def _of_restic(words: Sequence[str]) -> list[Use]:
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in _TAKES_A_VALUE:
            rest[:1] = []
        elif word in KINDS:
            target = next((each for each in reversed(rest) if each.startswith(("/", "~"))), "")
            return [Use(cast("JobKind", word), name_of(word, target if word == "backup" else ""))]
        elif word in _OTHERS:
            return []
    return []


def _of_exec(words: Sequence[str], scripts: Scripts, depth: int) -> list[Use]:
    """`agent exec --kind backup --schedule home -- COMMAND`: what is reported already."""
    rest = list(words)
    if "exec" not in rest or "--" not in rest:
        return []
    options, command = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    named = dict(itertools.pairwise(options))
    use = main_use(uses(command, scripts, depth + 1))
    kind = named.get("--kind", use.kind if use is not None else "")
    if kind not in KINDS:
        return []
    name = named.get("--schedule") or (use.name if use is not None else kind)
    return [Use(cast("JobKind", kind), name, job=use.job if use is not None else "", reported=True)]


def _of_resticprofile(words: Sequence[str]) -> list[Use]:
    """`run-schedule backup@home`, `--name home backup`, `home.backup`."""
    rest, profile = list(words), "default"
    while rest:
        word = rest.pop(0)
        option, _, value = word.partition("=")
        if option in ("-n", "--name", "-c", "--config", "-f", "--format", "-l", "--log", "--theme", "--lock-wait"):
            value = value or (rest.pop(0) if rest else "")
            profile = value if option in ("-n", "--name") and value else profile
        elif word == "run-schedule":
            command, _, profile = (rest or [""])[0].partition("@")
            return _resticprofile_job(command, profile)
        elif not word.startswith("-"):
            before, dot, command = word.rpartition(".")
            return _resticprofile_job(command, before if dot else profile)
    return []


def _resticprofile_job(command: str, profile: str) -> list[Use]:
    if command not in KINDS:
        return []
    job = f"{command}@{profile}"
    return [Use(cast("JobKind", command), name_of(job), job=f"resticprofile {job}")]


def _of_autorestic(words: Sequence[str]) -> list[Use]:
    rest, command, locations = list(words), "", []
    while rest:
        word = rest.pop(0)
        option, _, value = word.partition("=")
        if option in ("-l", "--location"):
            locations.append(value or (rest.pop(0) if rest else ""))
        elif option in ("-c", "--config", "-b", "--backend"):
            rest[:1] = [] if not value else rest[:1]
        elif not word.startswith("-") and not command:
            command = word
    if command == "cron":  # which location it would back up is in autorestic's own file
        return [Use("backup", "autorestic cron", job="autorestic cron")]
    if command not in KINDS:
        return []
    named = " ".join(locations)
    return [Use(cast("JobKind", command), name_of(command if command != "backup" or not named else "", named or "all"))]


def _of_shell_call(words: Sequence[str], scripts: Scripts, depth: int) -> list[Use]:
    for number, word in enumerate(words):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            return uses_of_shell(words[number + 1], scripts, depth + 1) if number + 1 < len(words) else []
        if not word.startswith(("-", "+")):
            return _of_script(word, scripts, depth)
    return []


def _of_script(word: str, scripts: Scripts, depth: int) -> list[Use]:
    text = scripts(word) if depth < _DEEPEST else None
    if text is None:
        return []
    use = main_use(uses_of_shell(text, scripts, depth + 1))
    if use is None:
        return []
    stem = word.rpartition("/")[2]
    stem = re.sub(r"\.(sh|bash|pl|py)\Z", "", stem)
    return [replace(use, name=use.name if use.job else name_of(stem), script=word)]
