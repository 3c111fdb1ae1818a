"""Commands in the documentation are ones that there are: each is parsed by the command line's own parser.

What the install guide says is run, from its first line to its last, by `make install-guide`.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness.install_guide import AGENTS, GUIDE, NTFY, PAGES, script, steps
from harness.processes import ROOT
from rmactors.cli.main import main

PAGES_WITH_COMMANDS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def commands(page: Path) -> Iterator[str]:
    """Every call of `rmactors` in the page's `sh` and `console` blocks, without what the shell makes of it."""
    for block in re.findall(r"^```(?:sh|console)\n(.+?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\||[|;]|\$\(", line):
                found = re.search(r"^[$# ]*(?:\w+=\S+ )*(?:\S+/)?rmactors (.+)$", part.strip())
                if found:
                    yield re.split(r" *(?:2?>|<|&|\)| # )", found[1])[0].strip()


def parse(words: list[str], command: click.Command, parent: click.Context | None = None) -> None:
    """Raises click.UsageError for what is no command, no option or no argument of one."""
    with command.make_context(command.name, list(words), parent=parent) as context:
        if isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
            name, inner, others = command.resolve_command(context, rest)
            assert inner is not None, name
            parse(others, inner, context)


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.name)
def test_every_command_in_the_documentation_is_one(page: Path) -> None:
    for text in commands(page):
        try:
            parse(shlex.split(text.replace("…", "").replace("[", "").replace("]", "")), main)
        except click.exceptions.Exit:
            pass  # --help, --version
        except click.BadParameter as error:
            if "No such file" not in str(error) and "does not exist" not in str(
                error
            ):  # an example's files are not here
                pytest.fail(f"{page.name}: rmactors {text}: {error.format_message()}")
        except click.UsageError as error:
            pytest.fail(f"{page.name}: rmactors {text}: {error.format_message()}")


def test_commands_are_found_and_wrong_ones_are_noticed() -> None:
    assert "server install" in list(commands(GUIDE))
    assert len(list(commands(GUIDE))) > 15
    for wrong in (["server", "instal"], ["admin", "create-user", "--name", "x"], ["demo", "--twice"]):
        with pytest.raises(click.UsageError):
            parse(wrong, main)


def test_the_guide_leads_from_nothing_to_a_restore() -> None:
    found = steps(GUIDE.read_text())
    assert [step.title for step in found] == [
        "Install", "Start the server", "Add a channel", "The first host", "The first backup",
        "The first backup", "Upgrade", "Disaster recovery", "Disaster recovery",
    ]  # fmt: skip
    assert "http://ntfy.test" in script(found, {PAGES: "127.0.0.1:1", AGENTS: "127.0.0.1:2", NTFY: "http://ntfy.test"})
    with pytest.raises(ValueError, match="does not speak of"):
        script(found, {"127.0.0.1:9": "x"})


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.name)
def test_what_a_page_links_to_in_the_repository_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
