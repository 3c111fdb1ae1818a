"""What restic finds in its environment: repository, credentials, and a folder for its cache that it can use."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from rmactors.agent.agent_file import Repository, environment_of


def environment_for(
    repository: Repository, inherited: Mapping[str, str], spare_cache: str | None = None
) -> dict[str, str]:
    """The environment of a restic. The repository's address goes here too: it may hold a password, and arguments can
    be read by every user. `spare_cache` is where its cache goes when restic's own place cannot be written.
    Raises AgentFileError.
    """
    found = {name: value for name, value in inherited.items() if not name.startswith(("RESTIC_", "RM_"))}
    if "HOME" not in found and (home := _home()):  # a service has none, and restic's cache needs it
        found["HOME"] = home
    if repository.environment_file:
        found |= environment_of(repository.environment_file)
    found["RESTIC_REPOSITORY"] = repository.repository
    found["RESTIC_PROGRESS_FPS"] = "1"
    if repository.password_file:
        found["RESTIC_PASSWORD_FILE"] = repository.password_file
    if repository.password_command:
        found["RESTIC_PASSWORD_COMMAND"] = repository.password_command
    if repository.cache_dir:
        found["RESTIC_CACHE_DIR"] = repository.cache_dir
    if not has_cache(found) and spare_cache is not None and _can_be_written(Path(spare_cache)):
        found["RESTIC_CACHE_DIR"] = spare_cache
    return found


def has_cache(environment: Mapping[str, str]) -> bool:
    """Whether restic can write its cache, or was told where to: if not, 0.19 fails without `--no-cache`."""
    if environment.get("RESTIC_CACHE_DIR"):
        return True
    if root := environment.get("XDG_CACHE_HOME"):
        return _can_be_written(Path(root, "restic"))
    home = environment.get("HOME")
    return bool(home) and _can_be_written(Path(str(home), ".cache", "restic"))


def _home() -> str | None:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a container's user is often no entry
        return None


def _can_be_written(folder: Path) -> bool:
    """Whether it is there, or can be made, and is writable. Makes nothing."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False
