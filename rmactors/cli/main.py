"""`rmactors`: each command in a module of its own, imported only when it is called.

An agent's installation has no server dependencies, so importing all commands would fail there.
"""

import importlib

import click
from click.shell_completion import CompletionItem

from rmactors import PRODUCT, __version__

_COMMANDS = {
    "server": ("rmactors.cli.server", "run the server"),
    "demo": ("rmactors.cli.demo", "a demonstration: server, agent, restic and a webhook receiver in one process"),
    "alerts": ("rmactors.cli.alerts", "list, show, acknowledge and resolve alerts, over the API"),
    "hosts": ("rmactors.cli.hosts", "list and show hosts, over the API"),
    "backups": ("rmactors.cli.backups", "how old the newest good backup of each plan is, over the API"),
    "policies": ("rmactors.cli.policies", "list and show policies, over the API"),
    "jobs": ("rmactors.cli.jobs", "list, show, run and cancel jobs, over the API"),
    "snapshots": ("rmactors.cli.snapshots", "list, browse, search and compare a host's snapshots, over the API"),
    "channels": ("rmactors.cli.channels", "list, show and test channels, over the API"),
    "export": ("rmactors.cli.configuration", "write a server's configuration to a file, over the API"),
    "apply": ("rmactors.cli.configuration", "make a server's configuration like a file, over the API"),
    "admin": ("rmactors.cli.admin", "users and tokens, in the database"),
    "agent": ("rmactors.cli.agent", "the part that runs on each host"),
    "config": ("rmactors.cli.config", "the effective settings, and where each comes from"),
    "doctor": ("rmactors.cli.doctor", "check this server for problems"),
    "backup": ("rmactors.cli.backup", "copy the database into one file, also while the server runs"),
    "restore": ("rmactors.cli.backup", "put a backup in the place of the database"),
    "move": ("rmactors.cli.backup", "copy everything into a PostgreSQL, or back into a data dir"),
    "keys": ("rmactors.cli.keys", "change the key of stored secrets"),
    "completion": ("rmactors.cli.completion", "completion for bash, zsh and fish"),
    "simulate": ("rmactors.cli.simulate", "simulate many agents, for sizing"),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        try:
            command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] == "rmactors":
                raise
            raise click.ClickException(
                f"`rmactors {cmd_name}` needs the server's parts ({error.name} is missing): pip"
                f" install 'rmactors[server]'"
            ) from None
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table above: completing a word must import nothing, and not fail where a part is missing."""
        known = ((name, text) for name, (_, text) in _COMMANDS.items() if name.startswith(incomplete))
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=text) for name, text in known), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=f"{PRODUCT} (rmactors)")
def main() -> None:
    """restic-manager: monitors the restic backups of many hosts, and notifies you when a backup fails,
    when one does not run, and when a host goes silent."""
