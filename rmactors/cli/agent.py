"""`rmactors agent …`: what an administrator types on a host. Parses, prints, and sets exit codes; nothing else."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rmactors.cli import units
from rmactors.common.text import one_line
from rmactors.common.vocabulary import JOB_KINDS, JobKind


def _open_standard_streams() -> None:
    """Where the caller closed one of them, the next file to be opened would take its place."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


class _Failed(click.ClickException):
    """The sentence is one plain line: words of a server may be in it."""

    def __init__(self, words: object) -> None:
        super().__init__(one_line(str(words)))


def _state_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--state-dir",
        type=click.Path(path_type=Path, readable=False),  # what is wrong with it is no reason not to run a command
        help="Where the agent keeps its credential and unsent reports.  [RM_AGENT_STATE_DIR]",
    )(command)


def _config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="The agent's file.  [RM_AGENT_CONFIG, /etc/rmactors/agent.toml]",
    )(command)


def _state(chosen: Path | None) -> Path:
    from rmactors.agent.state_dir import default_dir

    return chosen or default_dir()


def _token_in(file: Any, what: str) -> str:
    """The token in a file; at a terminal it is typed where nobody sees it, and no shell's history keeps it."""
    try:
        token: str = click.prompt(what, hide_input=True, err=True) if file.isatty() else file.read()
    except UnicodeDecodeError:
        raise _Failed(f"{file.name} has no token in it: it is not text") from None
    return token


def _named(config: Path | None) -> bool:
    """Whether somebody named the agent's file, so that it must be there."""
    return config is not None or bool(os.environ.get("RM_AGENT_CONFIG"))


class _Agent(click.Group):
    """`import` speaks to the API: what it needs for that is loaded for it alone, and is no burden of `run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "import"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "import":
            return super().get_command(ctx, cmd_name)
        from rmactors.cli.importing import import_command

        return import_command


@click.group(cls=_Agent)
def agent() -> None:
    """The part that runs on each host."""


@agent.command()
@click.option("--server", required=True, help="URL of the server's agents' port, like https://backup.example.org:8081.")
@click.option(
    "--token-file",
    required=True,
    type=click.File(),
    help="File with the enrollment token. `-`: stdin, and at a terminal it is asked for.",
)
@click.option("--name", help="The host's name on the server.  [this machine's host name]")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Trust this CA alone.")
@click.option("--tls-cert-file", help="Client certificate, for a server or proxy that asks for one.")
@click.option("--tls-key-file", help="Its key, where that is in another file.")
@click.option("--again", is_flag=True, help="Replace the credential that is here, of this host or of another one.")
@_state_option
def enroll(
    server: str, token_file: Any, name: str | None, ca_file: str | None, tls_cert_file: str | None,
    tls_key_file: str | None, again: bool, state_dir: Path | None,
) -> None:  # fmt: skip
    """Trade an enrollment token for this host's credential."""
    import trio

    from rmactors.agent.enrollment import EnrollmentFailed, credential_before, enroll
    from rmactors.agent.server_url import BadServerUrl, is_loopback
    from rmactors.agent.state_dir import StateDir, StateError
    from rmactors.common import logs

    logs.for_people()
    where = _state(state_dir)
    try:
        credential_before(StateDir(where), again=again)  # before somebody types a token in vain
    except EnrollmentFailed as error:
        raise _Failed(error) from None
    token = _token_in(token_file, "Enrollment token")

    async def main() -> None:
        enrolled = await enroll(
            server, token, where, name=name, ca_file=ca_file, tls_cert_file=tls_cert_file, tls_key_file=tls_key_file,
            again=again,
        )  # fmt: skip
        credential = enrolled.credential
        if "ws:" in credential.server_url and not is_loopback(credential.server_url):
            click.echo("warning: this connection is not encrypted; anyone on the way can read the credential", err=True)
        said = f"enrolled as {credential.name} (host {credential.host_id}); credential kept in {where}"
        click.echo(one_line(said))
        if enrolled.others:
            said = "is one unsent report" if enrolled.others == 1 else f"are {enrolled.others} unsent reports"
            click.echo(
                f"note: here {said} of the host that this machine was before. They are not sent as"
                f" {one_line(credential.name)}'s; they are sent when this machine is enrolled as that host again",
                err=True,
            )

    try:
        trio.run(main)
    except (EnrollmentFailed, BadServerUrl, StateError) as error:
        raise _Failed(error) from None


@agent.command()
@click.option(
    "--token-file",
    required=True,
    type=click.File(),
    help="File with the credential from the host's page. `-`: stdin, and at a terminal it is asked for.",
)
@_state_option
def credential(token_file: Any, state_dir: Path | None) -> None:
    """Replace this host's credential by a new one of the same host."""
    from rmactors.agent.enrollment import EnrollmentFailed, set_credential
    from rmactors.agent.state_dir import StateError

    where = _state(state_dir)
    token = _token_in(token_file, "Credential")
    try:
        replaced = set_credential(where, token)
    except (EnrollmentFailed, StateError) as error:
        raise _Failed(error) from None
    click.echo(one_line(f"{replaced.name} has a new credential, kept in {where}; an agent that runs connects with it"))


@agent.command()
@_config_option
@_state_option
@click.option("-v", "--verbose", is_flag=True, help="Also say what goes well.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", envvar="RM_LOG_FORMAT",
    help="One line an event, as text or JSON.  [RM_LOG_FORMAT, text]",
)  # fmt: skip
def run(config: Path | None, state_dir: Path | None, verbose: bool, log_format: str) -> None:
    """Connect, keep schedules, run restic, report: until SIGTERM or SIGINT."""
    import trio

    from rmactors.agent import programs
    from rmactors.agent.agent_file import AgentFileError, default_file, load_or_empty
    from rmactors.agent.daemon import run_agent
    from rmactors.agent.spool import SpoolError
    from rmactors.agent.state_dir import StateError
    from rmactors.common import logs

    logs.set_up("debug" if verbose else "info", log_format)
    file = config or default_file()
    asked_for = _named(config)

    async def main() -> None:
        agent_file = load_or_empty(file, asked_for=asked_for)
        if troubles := programs.troubles_of(agent_file):
            raise AgentFileError(f"{file}: {troubles[0]}")
        if not agent_file.plans:
            logging.getLogger("rmactors.agent").info("no plans in %s: only what `exec` wraps is reported", file)
        async with trio.open_nursery() as nursery:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                nursery.start_soon(_run_until_stopped, nursery, agent_file)
                async for number in signals:
                    logging.getLogger("rmactors.agent").info("%s: stopping", signal.Signals(number).name)
                    nursery.cancel_scope.cancel()
                    break

    async def _run_until_stopped(nursery: trio.Nursery, agent_file: Any) -> None:
        await run_agent(agent_file, _state(state_dir))
        nursery.cancel_scope.cancel()

    try:
        trio.run(main)
    except* (StateError, SpoolError, AgentFileError) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise _Failed(error) from None


@agent.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--kind", required=True, type=click.Choice(JOB_KINDS), help="What the command does.")
@click.option("--schedule", help="Name of the external schedule that this run belongs to.")
@click.option("--plan", help="Name of what is backed up, where one host has several.")
@_state_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(
    kind: JobKind, schedule: str | None, plan: str | None, state_dir: Path | None, command: tuple[str, ...]
) -> None:
    """Run COMMAND and report how it ended. Its output and its exit code pass through.

    \b
    rmactors agent exec --kind backup -- restic backup /home
    """
    from rmactors.agent import inheritance

    given = inheritance.look()
    _open_standard_streams()
    import trio

    from rmactors.agent.wrapped import CannotWrap
    from rmactors.agent.wrapping import leave_like, run_exec
    from rmactors.common import logs

    logs.for_people()

    async def main() -> int:
        return await run_exec(command, kind, _state(state_dir), schedule=schedule, plan=plan, inheritance=given)

    try:
        code = trio.run(main)
    except (CannotWrap, OSError) as error:
        click.echo(f"rmactors: this run is not reported, there is no room to wrap it: {error}", err=True)
        try:
            inheritance.become(command, given)
        except OSError as refused:
            click.echo(f"rmactors: {command[0]}: {refused.strerror}", err=True)
            code = 127 if isinstance(refused, FileNotFoundError) else 126
    leave_like(code)


@agent.command()
@_config_option
@_state_option
def check(config: Path | None, state_dir: Path | None) -> None:
    """Try the agent's file, restic, each repository and the server, and say what was found."""
    import trio

    from rmactors.agent.agent_file import default_file
    from rmactors.agent.checking import check
    from rmactors.common import logs
    from rmactors.common.findings import Finding, verdict

    logs.for_people()
    asked_for = _named(config)
    found: list[Finding] = []

    async def main() -> None:
        async for finding in check(config or default_file(), _state(state_dir), asked_for=asked_for):
            found.append(finding)
            click.echo(finding.line)

    trio.run(main)
    if faults := verdict(found):
        raise click.ClickException(faults)


@agent.command()
@_config_option
@_state_option
@units.install_options
def install(
    config: Path | None, state_dir: Path | None, unit_dir: Path | None, only_print: bool, yes: bool, start: bool
) -> None:
    """Show a systemd unit for `agent run`, and write it after a yes."""
    from rmactors.agent import programs, unit
    from rmactors.agent.agent_file import AgentFileError, default_file, load_or_empty

    file = (config or default_file()).absolute()
    try:
        agent_file = load_or_empty(file, asked_for=_named(config))
    except AgentFileError as error:
        raise _Failed(error) from None
    if trouble := next(iter([*units.troubles(), *programs.troubles_of(agent_file)]), None):
        raise _Failed(trouble)
    _say_where_not_enrolled(_state(state_dir))
    text = unit.render(units.own_command(), file, _state(state_dir).absolute(), agent_file)
    units.install(unit.NAME, text, unit_dir, only_print=only_print, yes=yes, start=start)


def _say_where_not_enrolled(where: Path) -> None:
    from rmactors.agent.state_dir import StateDir, StateError

    try:
        StateDir(where).credential()
    except StateError as error:
        click.echo(one_line(f"note: {error}"), err=True)


@agent.command()
@units.uninstall_options
def uninstall(unit_dir: Path | None, stop: bool) -> None:
    """Remove the unit that `install` wrote. The state dir with the credential stays."""
    from rmactors.agent import unit

    units.uninstall(unit.NAME, unit_dir, stop=stop)
