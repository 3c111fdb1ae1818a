"""`install` and `uninstall` of server and agent: the unit is shown, then written after a yes."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rmactors.systemd.units import DIRECTORY

Command = Callable[..., Any]

_unit_dir = click.option(
    "--unit-dir", type=click.Path(path_type=Path), help="Where systemd looks.  [/etc/systemd/system]"
)


def install_options(command: Command) -> Command:
    for option in (
        click.option("--start/--no-start", default=True, help="Enable and start it.  [start]"),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--print", "only_print", is_flag=True, help="Show the unit and write nothing."),
        _unit_dir,
    ):
        command = option(command)
    return command


def uninstall_options(command: Command) -> Command:
    return _unit_dir(click.option("--stop/--no-stop", default=True, help="Disable and stop it first.  [stop]")(command))


def install(name: str, text: str, unit_dir: Path | None, *, only_print: bool, yes: bool, start: bool) -> None:
    """Show the unit, and write it after a yes. Raises ClickException, Abort."""
    target = (unit_dir or DIRECTORY) / name
    click.echo(text)
    if only_print:
        return
    if not yes:
        click.confirm(f"Write this to {target}{' and start it' if start else ''}?", abort=True)
    try:
        target.write_text(text)
    except OSError as error:
        raise click.ClickException(f"cannot write {target}: {error.strerror}") from None
    click.echo(f"wrote {target}")
    if start:
        _systemctl("daemon-reload")
        _systemctl("enable", name)
        _systemctl("restart", name)


def uninstall(name: str, unit_dir: Path | None, *, stop: bool) -> None:
    """Remove what `install` wrote. What the service has stored stays. Raises ClickException."""
    target = (unit_dir or DIRECTORY) / name
    if not target.exists():
        raise click.ClickException(f"there is no {target}")
    if stop:
        _systemctl("disable", "--now", name)
    try:
        target.unlink()
    except OSError as error:
        raise click.ClickException(f"cannot remove {target}: {error.strerror}") from None
    click.echo(f"removed {target}")
    if stop:
        _systemctl("daemon-reload")


def own_command() -> list[str]:
    """How this rmactors is called, by absolute path: systemd has no PATH of ours."""
    called = Path(sys.argv[0])
    if called.name == "rmactors" and (found := shutil.which(str(called))):
        return [str(Path(found).absolute())]
    return [sys.executable, "-m", "rmactors"]


def troubles() -> list[str]:
    """Why what systemd would start as root is not to be trusted: below another user's folder, say."""
    import rmactors
    from rmactors.agent.tampering import trouble_with

    started = (own_command()[0], sys.executable, rmactors.__file__)
    remedy = (
        "install it where only root can write: python3 -m venv /opt/rmactors && /opt/rmactors/bin/pip install rmactors"
    )
    found = [trouble_with(path, decides="what root runs", remedy=remedy) for path in started]
    return [words for words in found if words is not None]


def out_of_reach(*paths: Path) -> Path | None:
    """The first directory on the way to one of these that keeps users other than its owner out."""
    for path in paths:
        for folder in reversed([*path.absolute().parents, *path.resolve().parents]):
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return folder
    return None


def _systemctl(*arguments: str) -> None:
    try:
        subprocess.run(["systemctl", *arguments], check=True)  # noqa: S603, S607 - fixed words
    except FileNotFoundError:
        raise click.ClickException("systemctl is not here: this machine does not run systemd") from None
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"systemctl {' '.join(arguments)} ended with {error.returncode}") from None
