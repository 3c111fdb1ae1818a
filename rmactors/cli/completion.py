"""`rmactors completion`: what makes a shell complete our commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what SHELL must read to complete `rmactors`.

    \b
    bash:  rmactors completion bash > ~/.local/share/bash-completion/completions/rmactors
    zsh:   rmactors completion zsh > ~/.zfunc/_rmactors     (with fpath+=~/.zfunc before compinit)
    fish:  rmactors completion fish > ~/.config/fish/completions/rmactors.fish
    """
    of_shell = get_completion_class(shell)
    assert of_shell is not None
    click.echo(of_shell(context.find_root().command, {}, "rmactors", "_RMACTORS_COMPLETE").source())
