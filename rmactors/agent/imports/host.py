"""Where the files of all these tools are on this host. Reads them, and changes nothing."""

import getpass
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rmactors.agent import this_host
from rmactors.agent.imports import anacron, autorestic, backrest, crontab, formats, resticprofile, systemd
from rmactors.agent.imports.found import Found, Wrapper

SOURCES: Final = ("systemd", "crontab", "resticprofile", "autorestic", "backrest")
"""In the order in which they count where two tell of the same: what really starts it comes first."""
_LARGEST: Final = 1 << 20
_RUN_PARTS_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_PATH: Final = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
_UNIT_FOLDERS: Final = (
    "etc/systemd/{}", "run/systemd/{}", "run/systemd/transient", "usr/local/lib/systemd/{}", "usr/lib/systemd/{}",
    "lib/systemd/{}",
)  # fmt: skip
_RESTICPROFILE_FOLDERS: Final = tuple(
    f"{top}/{below}".rstrip("/")
    for top in ("usr/local/etc", "etc", "opt/local/etc") for below in ("", "restic", "resticprofile")
)  # fmt: skip
_ENDINGS: Final = ("conf", "yaml", "toml", "json", "hcl", "yml")
_SYSTEMCTL_SECONDS: Final = 10.0
_ANACRONTAB: Final = "anacrontab"


@dataclass(slots=True)
class Host:
    """A machine's files below `root`. `troubles` are what could not be read, as sentences."""

    wrapper: Wrapper = field(default_factory=Wrapper)
    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    troubles: list[str] = field(default_factory=list)

    @property
    def is_this(self) -> bool:
        return self.root == Path("/")

    @property
    def zone(self) -> str:
        return this_host.timezone(self.root / "etc/localtime")

    def find(self, source: str, file: Path | None = None) -> list[Found]:
        """What a source has, in the usual places or in `file`."""
        look: dict[str, Callable[[Path | None], Iterable[Found]]] = {
            "crontab": self._crontabs, "systemd": self._systemd, "resticprofile": self._resticprofile,
            "autorestic": self._autorestic, "backrest": self._backrest,
        }  # fmt: skip
        return list(look[source](file))

    # ---- crontabs

    def _crontabs(self, file: Path | None) -> Iterator[Found]:
        if file is not None:
            if file.name == _ANACRONTAB:
                yield from self._anacrontab(self._text(file) or "", self._shown(file))
            else:
                yield from self._crontab(file, None, with_user=False)
            return
        timers = self._cron_timers()
        own_seen = False
        for folder in ("var/spool/cron/crontabs", "var/spool/cron", "var/spool/cron/tabs"):
            for path in self._files(folder, "other users' crontabs: run it as root"):
                own_seen = True
                yield from self._crontab(path, timers, with_user=False)
        if not own_seen and self.is_this:
            text = _output(["crontab", "-l"])
            made = timers.get(f"/var/spool/cron/crontabs/{getpass.getuser()}", {}) if timers else None
            yield from crontab.found_in(
                text, "crontab -l", self.zone, self.wrapper, self.script, with_user=False, by_systemd=made
            )
        main = self.root / "etc/crontab"
        for path in (main, *self._files("etc/cron.d", "")):
            if path == main or _RUN_PARTS_NAME.fullmatch(path.name):
                yield from self._crontab(path, timers, with_user=True)
        yield from self._run_parts(timers)

    def _anacrontab(self, text: str, place: str, timers: crontab.Timers | None = None) -> Iterator[Found]:
        made = timers.get(place, {}) if timers is not None else None
        return anacron.found_in(text, place, self.wrapper, self.script, debian=self._is_debian, by_systemd=made)

    @property
    def _is_debian(self) -> bool:
        return (self.root / "etc/debian_version").exists()

    def _crontab(self, path: Path, timers: crontab.Timers | None, *, with_user: bool) -> Iterator[Found]:
        text = self._text(path)
        if text is not None:
            place = self._shown(path)
            made = timers.get(place, {}) if timers is not None else None
            yield from crontab.found_in(
                text, place, self.zone, self.wrapper, self.script, with_user=with_user, by_systemd=made
            )

    def _cron_timers(self) -> crontab.Timers | None:
        """What systemd-cron made of crontabs; None where another cron runs them."""
        paths = sorted(_globbed(self.root / "run/systemd/generator", "cron-*.timer"))
        texts = [text for path in paths if (text := self._text(path)) is not None]
        return crontab.timers(texts, self.zone) or None

    def _run_parts(self, cron_timers: crontab.Timers | None) -> Iterator[Found]:
        timers = cron_timers or {}
        has_anacron = any((self.root / folder / "anacron").exists() for folder in ("usr/sbin", "sbin"))
        folders: dict[str, crontab.Folder] = {}
        main, second = (self._text(self.root / "etc" / name) or "" for name in ("crontab", _ANACRONTAB))
        for folder in crontab.folders(main, "/etc/crontab", self.zone, anacron=has_anacron):
            folders.setdefault(folder.path, folder)
        place = f"/etc/{_ANACRONTAB}"
        if has_anacron or cron_timers is not None:
            yield from self._anacrontab(second, place, cron_timers)
        if has_anacron:
            for folder in anacron.folders(second, place, debian=self._is_debian):
                folders.setdefault(folder.path, folder)
        for file, made in timers.items():
            if when := made.get(""):
                path = self.root / file.lstrip("/")
                folder = crontab.Folder(str(Path(file).parent), when, "systemd-cron")
                if (text := self._text(path)) is not None:
                    yield from crontab.found_in_folder(folder, path.name, text, self.wrapper, self.script)
        for folder in folders.values():
            for path in self._files(folder.path.lstrip("/"), ""):
                is_run = _RUN_PARTS_NAME.fullmatch(path.name) and os.access(path, os.X_OK)
                text = self._text(path) if is_run and self._shown(path) not in timers else None
                if text is not None:
                    yield from crontab.found_in_folder(folder, path.name, text, self.wrapper, self.script)

    # ---- systemd

    def _systemd(self, file: Path | None) -> Iterator[Found]:
        if file is not None:
            folders = [file.parent]
            yield from self._timer(file.name, folders, "")
            return
        folders = [self.root / each.format("system") for each in _UNIT_FOLDERS]
        for name in self._timers(folders, "--system"):
            yield from self._timer(name, folders, "")
        for home in self._homes():
            own = [home / ".config/systemd/user", home / ".local/share/systemd/user"]
            folders = [*own, *(self.root / each.format("user") for each in _UNIT_FOLDERS)]
            for name in self._timers(own, "--user" if self._is_own(home) else ""):
                yield from self._timer(name, folders, home.name)

    def _timers(self, folders: list[Path], manager: str) -> list[str]:
        """Those that are enabled, and those that systemd has running."""
        found: set[str] = set()
        for folder in folders:
            for pattern in ("*.wants/*.timer", "*.requires/*.timer"):
                found |= {path.name for path in _globbed(folder, pattern)}
        if manager and self.is_this:
            listed = _output(["systemctl", manager, "list-units", "--type=timer", "--plain", "--no-legend"])
            found |= {line.split()[0] for line in listed.splitlines() if line.split()}
        return sorted(found)

    def _timer(self, name: str, folders: list[Path], user: str) -> list[Found]:
        def load(unit: str) -> list[str]:
            return self._unit(unit, folders)

        return systemd.found_by(name, self.zone, self.wrapper, load, self.script, user=user)

    def _unit(self, name: str, folders: list[Path]) -> list[str]:
        """A unit's file and its drop-ins, in the order in which systemd reads them."""
        stem, dot, kind = name.rpartition(".")
        template = f"{stem.partition('@')[0]}@{dot}{kind}" if "@" in stem else name
        names = list(dict.fromkeys((name, template)))
        files = (folder / each for each in names for folder in folders)
        first = next((path for path in files if path.exists()), None)
        if first is None or not self._text(first):
            return []  # there is none, or it is masked
        drop_ins: dict[str, Path] = {}
        for each in (kind, template, name):  # what is more special comes later, and so wins
            for folder in reversed(folders):
                drop_ins |= {path.name: path for path in sorted(_globbed(folder / f"{each}.d", "*.conf"))}
        paths = [first, *(drop_ins[key] for key in sorted(drop_ins))]
        return [text for path in paths if (text := self._text(path)) is not None]

    # ---- tools with files of their own

    def _resticprofile(self, file: Path | None) -> Iterator[Found]:
        folders = [home / ".config/resticprofile" for home in self._homes()]
        folders += [self.root / each for each in _RESTICPROFILE_FOLDERS]
        paths = [folder / f"profiles.{ending}" for folder in folders for ending in _ENDINGS]
        for path in [file] if file is not None else self._there(paths):
            if (settings := self._settings(path)) is not None:
                if settings.get("includes"):
                    self.troubles.append(
                        f"{self._shown(path)} includes others, which are not read: name them with --file"
                    )
                yield from resticprofile.found_in(settings, self._shown(path), self.zone, self.wrapper)

    def _autorestic(self, file: Path | None) -> Iterator[Found]:
        folders = [each for home in self._homes() for each in (home, home / ".config/autorestic")]
        paths = [folder / f".autorestic.{ending}" for folder in folders for ending in ("yml", "yaml")]
        for path in [file] if file is not None else self._there(paths):
            if (settings := self._settings(path)) is not None:
                yield from autorestic.found_in(settings, self._shown(path), self.zone, self.wrapper)

    def _backrest(self, file: Path | None) -> Iterator[Found]:
        paths = [home / ".config/backrest/config.json" for home in self._homes()]
        paths += [self.root / "config/config.json"]
        if named := self.environment.get("BACKREST_CONFIG"):
            paths.append(Path(named))
        for path in [file] if file is not None else self._there(paths):
            if (settings := self._settings(path)) is not None:
                yield from backrest.found_in(settings, self._shown(path), self.zone, self.wrapper)

    def _settings(self, path: Path) -> Mapping[str, object] | None:
        text = self._text(path)
        try:
            return formats.read(text, path.suffix) if text is not None else None
        except formats.CannotRead as error:
            self.troubles.append(f"{self._shown(path)} {error}")
            return None

    # ---- files

    def script(self, word: str) -> str | None:
        """The text of a script, by its path or its name; None for what is none."""
        if "/" in word:
            paths = [self.root / word.lstrip("/")] if word.startswith("/") else []
        else:
            paths = [self.root / folder / word for folder in _PATH]
        path = next((each for each in paths if each.is_file()), None)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                if file.read(2) != b"#!" and not path.name.endswith(".sh"):
                    return None
        except OSError:
            return None
        return self._text(path)

    def _homes(self) -> list[Path]:
        """Those of all users, as far as they can be looked into."""
        own = Path(self.environment["HOME"]) if self.is_this and self.environment.get("HOME") else None
        others = [self.root / "root", *sorted(_globbed(self.root / "home", "*"))]
        homes = [*([own] if own is not None else []), *others]
        return [home for home in dict.fromkeys(homes) if os.access(home, os.R_OK | os.X_OK)]

    def _is_own(self, home: Path) -> bool:
        return self.is_this and str(home) == self.environment.get("HOME")

    def _there(self, paths: Iterable[Path]) -> Iterator[Path]:
        for path in dict.fromkeys(paths):
            try:
                if path.is_file():
                    yield path
            except OSError:
                continue

    def _files(self, folder: str, whose: str) -> list[Path]:
        path = self.root / folder
        try:
            return sorted(each for each in path.iterdir() if each.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            if whose:
                self.troubles.append(f"{self._shown(path)} cannot be read ({error.strerror}), so not {whose}")
            return []

    def _text(self, path: Path) -> str | None:
        try:
            if not path.is_file() or path.stat().st_size > _LARGEST:
                return None
            return path.read_text(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            self.troubles.append(f"{self._shown(path)} cannot be read: {error.strerror}")
            return None

    def _shown(self, path: Path) -> str:
        return str(
            path if self.is_this or not path.is_relative_to(self.root) else Path("/") / path.relative_to(self.root)
        )


def _globbed(folder: Path, pattern: str) -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _output(command: list[str]) -> str:
    """What a program of the system says; nothing where it is not there, or has nothing to say."""
    try:
        done = subprocess.run(  # noqa: S603 (its words are in this file)
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_SYSTEMCTL_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
