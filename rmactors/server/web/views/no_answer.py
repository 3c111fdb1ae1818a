"""What a page says where a host's agent gave no answer to a question, and what to do then. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.server.web.views.texts import _

BROWSE: Final = "browse"


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """`said` is the agent's own sentence; `line` is what agent.toml on the host has to say. `again`: to ask once more
    may help. `blind`: a restore can be asked for without it."""

    title: str
    sentence: str = ""
    said: str = ""
    line: str = ""
    again: bool = True
    blind: bool = False


def no_answer(slug: str, detail: str, host: str, allow: Sequence[str] | None, seen: str = "") -> NoAnswer:
    """`slug` and `detail` are those of the problem (`operations/looking`), `allow` the host's line as far as it is
    known, `seen` when it was last heard of."""
    match slug:
        case "not-connected":
            text = _("Its agent reads the repository, so it has to be connected. Check that it runs and reaches us.")
            return NoAnswer(_("%s is not connected") % host, f"{text} {_('Last seen %s.') % seen}" if seen else text)
        case "agent-slow":
            text = _("The repository may be slow or busy. The agent was told to stop looking; try again later.")
            if allow is None:
                text += " " + _("Or the agent is too old for this: then upgrade it.")
            return NoAnswer(_("%s did not answer in time") % host, text, blind=True)
        case "agent-too-old":
            return NoAnswer(
                _("The agent of %s is too old") % host,
                _("It cannot look into its backups yet. Upgrade it to the version of this server."), again=False,
            )  # fmt: skip
        case "not-allowed" if allow is not None and BROWSE in allow:  # a snapshot of another host, say
            return NoAnswer(_("%s does not allow this") % host, said=detail, again=False)
        case "not-allowed":
            return NoAnswer(
                _("%s does not let anybody look into its backups") % host,
                _("To allow it, put this line into agent.toml on the host and restart the agent. Operators can then"
                  " read the names of all files in its backups."),
                line=allow_line(allow, BROWSE), again=False, blind=True,
            )  # fmt: skip
        case "not-found":
            return NoAnswer(_("Not found"), _("The repository does not have this (any more)."), detail, again=False)
        case "invalid":
            return NoAnswer(_("%s cannot answer this") % host, said=detail, again=False)
        case "busy":
            return NoAnswer(
                _("%s is busy") % host, _("It answers other questions at the moment. Try again shortly."), detail
            )
        case "agent-failed":
            return NoAnswer(_("%s could not read the repository") % host, said=detail, blind=True)
        case _:
            return NoAnswer(detail)


def allow_line(allow: Sequence[str] | None, more: str) -> str:
    """The line of agent.toml with `more` in it. Where it is not known, with what it allows by default."""
    kinds = list(allow) if allow is not None else ["backup", "check"]
    return "allow = [" + ", ".join(f'"{kind}"' for kind in dict.fromkeys([*kinds, more])) + "]"
