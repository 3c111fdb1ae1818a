"""`/hosts/bulk`: the same done to the hosts that were selected in a list."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from quart import Blueprint, Response, request

from rmactors.common import clock
from rmactors.server.store.queries.chosen import ChosenHost
from rmactors.server.web.access import actor, route, services, way_back
from rmactors.server.web.html import go
from rmactors.server.web.operations import bulk
from rmactors.server.web.outcomes import Outcome
from rmactors.server.web.pages.rendering import field_errors, page
from rmactors.server.web.problems import Problem, invalid_field
from rmactors.server.web.views import bulk as views
from rmactors.server.web.views import done
from rmactors.server.web.views.bulk import Action
from rmactors.server.web.views.schedules import number
from rmactors.server.web.views.texts import _

blueprint = Blueprint("bulk", __name__)

_LIST: Final = "/hosts"
_MOST_HOURS: Final = 8760.0


@route(blueprint, "/hosts/bulk", role="operator", methods=["POST"])
async def bulk_hosts() -> Response:
    """To the hosts selected (form `host`, several), by `action`: `run` (`kind`, `plan`), `pause`, `unpause`, `silence`
    (`hours`, `reason`), `tag` and `untag` (`tag`), `delete`. Back to the list, or to a page that asks for what is
    missing or says where it could not be done."""
    action = await _action()
    found, outcome = await _selected()
    form = await request.form
    if action == "delete" or not _is_filled_in(action, form):
        return await _ask(action, found, outcome, {})
    try:
        await _act(action, found, outcome)
    except Problem as problem:
        return await _ask(action, found, outcome, field_errors(problem), status=422)
    return await _told(action, found, outcome)


@route(blueprint, "/hosts/bulk/delete", role="admin", methods=["POST"], fresh=True)
async def delete_hosts() -> Response:
    """Those selected, with their number typed (form `confirm`)."""
    found, outcome = await _selected()
    if ((await request.form).get("confirm") or "").strip() != str(len(found)):
        errors = {"confirm": _("This is not the number of hosts.")}
        return await _ask("delete", found, outcome, errors, status=422)
    await bulk.delete(found, outcome)
    return await _told("delete", found, outcome)


async def _act(action: Action, found: Sequence[ChosenHost], outcome: Outcome) -> None:
    form = await request.form
    match action:
        case "run":
            plan, kind = (form.get("plan") or "").strip(), form.get("kind")
            chosen = next((each for each in views.KINDS if each == kind), None)
            if chosen is None:
                raise invalid_field("/kind", _("Choose what to run."))
            await bulk.run(found, chosen, {"plan": plan} if plan else {}, outcome)
        case "pause" | "unpause":
            await bulk.pause(found, outcome, paused=action == "pause")
        case "silence":
            hours = number(form.get("hours") or "")
            if hours is None or not 0 < hours <= _MOST_HOURS:
                raise invalid_field("/hours", _("Give a number greater than 0."))
            ends_at = clock.to_rfc3339(services().now() + clock.seconds(hours * 3600))
            await bulk.silence(found, (form.get("reason") or "").strip(), ends_at, outcome)
        case "tag" | "untag":
            await bulk.tag(found, (form.get("tag") or "").strip(), outcome, on=action == "tag")
        case "delete":  # asks first
            raise invalid_field("/confirm", _("Confirm it."))


def _is_filled_in(action: Action, form: Mapping[str, str]) -> bool:
    """Whether what it takes was given; else a page asks for it."""
    needed = {"run": ("kind",), "silence": ("reason", "hours"), "tag": ("tag",), "untag": ("tag",)}.get(action, ())
    return all((form.get(name) or "").strip() for name in needed)


async def _action() -> Action:
    """What was asked for. Raises Problem 422 or 403."""
    wanted = (await request.form).get("action", "")
    action = next((each for each in views.ACTIONS if each == wanted), None)
    if action is None:
        raise invalid_field("/action", f"must be one of {', '.join(views.ACTIONS)}")
    if action in views.ADMINS and not actor().may("admin"):
        raise Problem(403, f"This requires the role admin; yours is {actor().role}.", "forbidden")
    return action


async def _selected() -> tuple[list[ChosenHost], Outcome]:
    """Those that are there; one that was deleted meanwhile is passed over. Raises the 422 where none was selected."""
    selected = (await request.form).getlist("host")
    if not selected:
        raise Problem(422, _("No host is selected."), "invalid")
    found, _gone = await bulk.chosen(selected, None)
    return found, Outcome()


async def _told(action: Action, found: Sequence[ChosenHost], outcome: Outcome) -> Response:
    """Back to the list that it was asked from, which says what was done; or a page with what could not be."""
    if outcome.failed:
        return await _ask(action, found, outcome, {}, status=422)
    parts = urlsplit(await _list_address())
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name != done.PARAMETER]
    query = urlencode([*kept, (done.PARAMETER, f"{action}.{len(outcome.done)}")])
    return go(f"{parts.path}?{query}")


async def _list_address() -> str:
    given = (await request.form).get("next") or way_back()
    return _LIST if urlsplit(given).path in {"/", "", request.path} else given


async def _ask(
    action: Action, found: Sequence[ChosenHost], outcome: Outcome, errors: dict[str, str], *, status: int = 200
) -> Response:
    """What is missing, and of whom; after something went wrong, of those alone where it did."""
    form = await request.form
    failed = {failure.host_id for failure in outcome.failed}
    left = [host for host in found if host.id in failed] if failed else list(found)
    typed = {name: form.get(name, "") for name in ("kind", "plan", "tag", "hours", "reason")}
    typed["hours"] = typed["hours"] or "2"
    return await page(
        "hosts/bulk.html", "hosts", status=status, errors=errors, left=left, typed=typed,
        question=views.question(action, [host.name for host in left], outcome), kinds=views.kinds(),
        next=await _list_address(),
    )  # fmt: skip
