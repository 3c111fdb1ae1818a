"""Secrets that a configuration file refers to: from the environment, or from a file. They are kept nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rmactors.client.configuration.reading import Entry, Fault, Reference, reference

SET = {"set": True}
"""What the API shows of a secret, and takes for the one that is stored."""


@dataclass(slots=True)
class Secrets:
    """Where they are looked for: variables, and the folder that a relative path counts from."""

    environment: Mapping[str, str]
    folder: Path
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def value(self, asked: Reference) -> str:
        """Raises ValueError, its message a sentence, where there is none."""
        if asked.how == "env":
            found = self.environment.get(asked.name, "")
            if not found:
                raise ValueError(f"the environment variable {asked.name} is not set")
            return found
        path = self.folder / asked.name
        try:
            text = path.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not text:
            raise ValueError(f"the file {path} is empty")
        return text

    def config(self, entry: Entry, stored: Mapping[str, Any]) -> dict[str, Any]:
        """A channel's config as the API takes it. `stored` is the one on the server: what is a secret there stays where
        the file's is not at hand, and goes where the file has none."""
        sent: dict[str, Any] = {}
        for name, value in entry.values["config"].items():
            asked = reference(value)
            if asked is None:
                sent[name] = value
                continue
            try:
                sent[name] = self.value(asked)
            except ValueError as error:
                if stored.get(name) == SET:
                    sent[name] = SET
                    self.notes.append(f"channel {entry.title}: {error}; the stored {name} stays")
                else:
                    self.faults.append(Fault(f"{error}, and the server has none", entry, f"config.{name}"))
        return sent | {name: None for name, value in stored.items() if value == SET and name not in sent}

    def password(self, entry: Entry) -> str | None:
        """A new user's password, where the file names one."""
        asked = reference(entry.values["password"])
        if asked is None:
            return None
        try:
            return self.value(asked)
        except ValueError as error:
            self.faults.append(Fault(str(error), entry, "password"))
            return None
