"""Which host, plan and snapshot a page about backups is of, and asking its agent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from quart import request

from rmactors.server.store.queries.hosts import HostRow
from rmactors.server.web.access import services
from rmactors.server.web.operations import hosts
from rmactors.server.web.operations.params import plan_names
from rmactors.server.web.pages.rendering import moment
from rmactors.server.web.problems import Problem
from rmactors.server.web.sealed import Sealed
from rmactors.server.web.views.folders import Place, short_id, times_from
from rmactors.server.web.views.no_answer import NoAnswer, no_answer
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Time
from rmactors.server.web.what_was_sent import json_list

_SNAPSHOT: Final = re.compile(r"[0-9a-f]{8,64}|latest")


@dataclass(frozen=True, slots=True)
class Backups:
    """The backups of one plan of a host. `plan` is empty where the host has none; `allow` and `targets` are lines of
    its agent.toml, None where it does not tell."""

    host: HostRow
    plans: tuple[str, ...]
    plan: str
    place: Place
    sealed: Sealed
    allow: tuple[str, ...] | None
    targets: tuple[str, ...] | None

    @property
    def home(self) -> str:
        """The host's page."""
        return f"/hosts/{self.host.id}"

    def no_answer(self, problem: Problem) -> NoAnswer:
        """What to say and to do where the agent gave none."""
        seen = self.host.last_seen_at
        ago = moment().ago(seen).words if seen is not None else ""
        return no_answer(problem.slug, problem.detail, self.host.name, self.allow, ago)

    def when(self, snapshot: str) -> Time | None:
        """When it was made, as far as the address or form at hand carries that."""
        at = self.place.times.get(short_id(snapshot))
        return moment().ago(at) if at is not None else None

    def opened(self, name: str) -> str:
        """A sealed text of the address. Raises the 404 for one that is not of here."""
        found = self.sealed.open(request.args.get(name, ""))
        if found is None:
            raise Problem(404, _("This link is not valid any more. Begin at the host's snapshots."), "not-found")
        return found


async def backups(host_id: str, given: Mapping[str, str]) -> Backups:
    """Of the `plan` that an address or a form names, else of the host's first. Raises Problem 404, also for a plan that
    is not its own."""
    plan = given.get("plan")
    found = (await hosts.require(host_id)).host
    plans = plan_names(found.plans)
    if plan and plan not in plans:
        raise Problem(404, _("%(host)s has no plan of that name (any more).") % {"host": found.name}, "not-found")
    chosen = plan or (plans[0] if plans else "")
    sealed = Sealed(services().box, found.id)
    place = Place(found.id, chosen, sealed.seal, times_from(sealed.open(given.get("times", "")) or ""))
    return Backups(
        found, plans, chosen, place, sealed, _texts(found.allow),
        _texts(found.restore_targets),
    )  # fmt: skip


def is_snapshot(text: str) -> bool:
    """Whether it can be a snapshot's id, or is `latest`."""
    return _SNAPSHOT.fullmatch(text) is not None


def snapshot_id(text: str) -> str:
    """Raises the 404 for what is no id of a snapshot."""
    if not is_snapshot(text):
        raise Problem(404, _("There is no such snapshot."), "not-found")
    return text


def _texts(stored: str | None) -> tuple[str, ...] | None:
    return tuple(str(each) for each in json_list(stored)) if stored is not None else None
