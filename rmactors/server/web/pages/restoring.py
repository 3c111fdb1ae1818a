"""`/hosts/<id>/restore`: from a snapshot into one of the folders that the host's agent.toml names. For operators.

Three steps, so that it is never a surprise: what and where to; how much that is, as the agent finds out; the start.
"""

from dataclasses import dataclass, replace
from typing import Final

from quart import Blueprint, Response, request

from rmactors.server.web.access import route
from rmactors.server.web.html import go, render
from rmactors.server.web.operations import jobs, looking
from rmactors.server.web.operations.jobs import JobBody
from rmactors.server.web.operations.params import MOST_PATHS
from rmactors.server.web.pages.asking import asked
from rmactors.server.web.pages.backups import Backups, backups, snapshot_id
from rmactors.server.web.pages.rendering import field_errors, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import restoring
from rmactors.server.web.views.texts import _

blueprint = Blueprint("restoring", __name__)

_EVERYTHING: Final = "yes"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A restore as the forms say it. `include` is empty for the whole snapshot, which has to be said: `everything`."""

    of: Backups
    snapshot: str
    include: tuple[str, ...]
    everything: bool
    target: str
    folder: str

    @property
    def into(self) -> str:
        return restoring.target_path(self.target, self.folder)

    @property
    def params(self) -> dict[str, object]:
        return {"snapshot": self.snapshot, "include": list(self.include), "target": self.into}

    def problem(self) -> dict[str, str]:
        """What is wrong with it, by field."""
        found = {}
        if not self.include and not self.everything:
            found["include"] = _("Nothing was selected. Go back and tick what should be restored.")
        if len(self.include) > MOST_PATHS:
            found["include"] = _("At most %(n)s entries at once: choose the folder that holds them.") % {
                "n": MOST_PATHS
            }
        if self.target not in (self.of.targets or ()):
            found["target"] = _("Choose one of the host's folders.")
        if wrong := restoring.folder_problem(self.folder):
            found["folder"] = wrong
        return found


@route(blueprint, "/hosts/<host_id>/restore", role="operator")
async def restore_snapshot(host_id: str) -> Response:
    """The form for a whole snapshot: `plan` and `snapshot`."""
    of = await backups(host_id, request.args)
    snapshot = snapshot_id(request.args.get("snapshot", "latest"))
    return await _form(Wanted(of, snapshot, (), True, "", restoring.usual_folder(of.plan, snapshot)), {})


@route(blueprint, "/hosts/<host_id>/restore", role="operator", methods=["POST"])
async def restore(host_id: str) -> Response:
    """The form with what was chosen (`include`, sealed paths). With `target`, what would come of it."""
    form = await request.form
    wanted = await _wanted(host_id)
    if "target" not in form:
        none_chosen = {name: text for name, text in wanted.problem().items() if name == "include"}
        return await _form(wanted, none_chosen)
    if "change" in form:
        return await _form(wanted, {})
    errors = wanted.problem()
    return await _form(wanted, errors) if errors else await _look_ahead(wanted)


@route(blueprint, "/hosts/<host_id>/restore/start", role="operator", methods=["POST"])
async def start(host_id: str) -> Response:
    """Queues the job, and shows it."""
    wanted = await _wanted(host_id)
    if errors := wanted.problem():
        return await _form(wanted, errors)
    try:
        job_id = await jobs.queue(
            wanted.of.host.id, JobBody("restore", None, {"plan": wanted.of.plan, **wanted.params})
        )
    except Problem as problem:
        return await _form(wanted, {"form": " ".join(field_errors(problem).values())})
    return go(f"/jobs/{job_id}")


async def _look_ahead(wanted: Wanted) -> Response:
    of = wanted.of

    async def answer() -> str:
        shown = wanted
        try:
            found = await looking.preview(of.host, of.plan, wanted.snapshot, wanted.include, wanted.into)
        except Problem as problem:
            why = of.no_answer(problem)
            if not why.blind:
                return await render(
                    "snapshots/preview_refused.html", why=why, of=of, form=_shown(wanted), wanted=wanted
                )
            view = restoring.blind(f"{why.title}. {why.said or why.sentence}", wanted.into)
        else:
            view, shown = restoring.outlook(found, wanted.into), replace(wanted, snapshot=found.snapshot)
        return await render("snapshots/preview.html", view=view, wanted=shown, of=of, form=_shown(shown))

    return await asked(answer, of, title=_("Restore"), back=of.place.folder(wanted.snapshot), snapshot=wanted.snapshot)


async def _form(wanted: Wanted, errors: dict[str, str]) -> Response:
    return await page(
        "snapshots/restore.html", "hosts", status=422 if errors else 200, of=wanted.of, wanted=wanted,
        form=_shown(wanted), errors=errors,
    )  # fmt: skip


def _shown(wanted: Wanted) -> restoring.RestoreForm:
    of = wanted.of
    return restoring.form(
        wanted.snapshot, wanted.include, of.sealed.seal, of.allow, of.targets, wanted.target, wanted.folder
    )


async def _wanted(host_id: str) -> Wanted:
    """What the form at hand says. Raises Problem 404 for a plan, a snapshot or a path that is not from here."""
    form = await request.form
    of = await backups(host_id, form)
    snapshot = snapshot_id(form.get("snapshot", ""))
    paths = [of.sealed.open(each) for each in dict.fromkeys(form.getlist("include"))]
    folder = form.get("folder", restoring.usual_folder(of.plan, snapshot)).strip()
    include = tuple(path for path in paths if path)
    if len(include) < len(paths):
        raise Problem(404, _("This selection is not valid any more. Begin at the host's snapshots."), "not-found")
    everything = form.get("everything") == _EVERYTHING and not include
    return Wanted(of, snapshot, include, everything, form.get("target", ""), folder)
