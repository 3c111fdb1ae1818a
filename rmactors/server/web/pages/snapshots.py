"""`/hosts/<id>/snapshots` and what leads on from there: folders, finding a file, what changed. For operators.

Each is asked of the host's agent while somebody waits, and nothing of it is kept. Paths and patterns stand in addresses
only sealed (`web/sealed`): addresses are logged along the way.
"""

from typing import Final

from quart import Blueprint, Response, request

from rmactors.server.web.access import route
from rmactors.server.web.html import go, in_thread, render
from rmactors.server.web.operations import looking
from rmactors.server.web.pages.asking import asked, not_answered
from rmactors.server.web.pages.backups import Backups, backups, snapshot_id
from rmactors.server.web.pages.rendering import moment
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import file_names, folders, found
from rmactors.server.web.views.no_answer import NoAnswer
from rmactors.server.web.views.texts import _

blueprint = Blueprint("snapshots", __name__)

_PAGE: Final = 500
_HITS: Final = 2000
"""What is found is grouped by file, so as much of it as one answer holds."""
_LONGEST_PATTERN: Final = 1000
"""Bytes: sealed it still fits into an address."""


@route(blueprint, "/hosts/<host_id>/snapshots", role="operator")
async def snapshot_list(host_id: str) -> Response:
    """Of one plan (`plan`), newest first unless `sort` says otherwise; `begin` is the number of the first one shown,
    from 0. There is no filter by path or tag: such names are not to stand in addresses."""
    of = await backups(host_id, request.args)
    given = request.args.get("begin", "")
    begin = int(given) if given.isdecimal() and len(given) < 6 else 0

    async def answer() -> str:
        if not of.plan:
            return await not_answered(_no_plans(of))
        got = await looking.snapshots(of.host, of.plan)
        now = moment()
        view = await in_thread(
            lambda: folders.snapshot_list(
                got.items,
                got.left_out,
                begin,
                of.place,
                now,
                all_of_them=got.next_cursor is None,
                sort=request.args.get("sort", folders.NEWEST_FIRST),
            )
        )
        return await render("snapshots/list.html", view=view, of=of)

    return await asked(answer, of, title=_("Snapshots"), back=of.home, choose_plan=True)


@route(blueprint, "/hosts/<host_id>/snapshots/<snapshot>", role="operator")
async def folder(host_id: str, snapshot: str) -> Response:
    """One folder of a snapshot (an id, or `latest`): `at` is its path, sealed."""
    of = await backups(host_id, request.args)
    which, path, cursor = snapshot_id(snapshot), of.opened("at") or "/", of.opened("next")

    async def answer() -> str:
        got = await looking.browse(of.host, of.plan, which, path, cursor or None, _PAGE)
        now = moment()
        view = await in_thread(
            lambda: folders.folder(got.items, got.left_out, got.next_cursor, which, path, of.place, now)
        )
        return await render("snapshots/folder.html", view=view, of=of, snapshot=which)

    above = of.place.folder(which, file_names.folder_of(path)) if path != "/" else of.place.snapshots()
    return await asked(answer, of, title=_("Snapshot %s") % folders.short_id(which), back=above, snapshot=which)


@route(blueprint, "/hosts/<host_id>/changes", role="operator")
async def changes(host_id: str) -> Response:
    """From one snapshot to another: `from` and `to`, or two `one` of which the first is the newer."""
    of = await backups(host_id, request.args)
    before, after = request.args.get("from", ""), request.args.get("to", "")
    if "one" in request.args:
        chosen = [of.sealed.open(each) for each in request.args.getlist("one")]
        two = [each.partition(" ") for each in chosen if each]
        if len(two) == 2:
            times = [(snapshot, at) for snapshot, _, text in two if (at := folders.number_from(text)) is not None]
            return go(of.place.knowing(times).changes(two[1][0], two[0][0]))
    cursor = of.opened("next")

    async def answer() -> str:
        if not (before and after):
            return await not_answered(NoAnswer(_("Choose two snapshots to compare"), again=False))
        got = await looking.diff(of.host, of.plan, snapshot_id(before), snapshot_id(after), cursor or None, _PAGE)
        view = await in_thread(
            lambda: found.change_page(got.items, got.left_out, got.next_cursor, before, after, bool(cursor), of.place)
        )
        return await render(
            "snapshots/changes.html", view=view, of=of,
            before=before, after=after,
        )  # fmt: skip

    return await asked(answer, of, title=_("What changed"), back=of.place.snapshots())


@route(blueprint, "/hosts/<host_id>/find", role="operator")
async def find(host_id: str) -> Response:
    """Files by a pattern (`what`, sealed) in all snapshots of a plan."""
    of = await backups(host_id, request.args)
    pattern, cursor = of.opened("what"), of.opened("next")

    async def answer() -> str:
        if not pattern:
            return await render("snapshots/find_help.html")
        got = await looking.find(of.host, of.plan, pattern, cursor or None, _HITS)
        now = moment()
        view = await in_thread(
            lambda: found.found_page(got.items, got.left_out, got.next_cursor, pattern, of.place, now)
        )
        return await render("snapshots/found.html", view=view, of=of, pattern=file_names.name(pattern))

    return await asked(
        answer, of, title=_("Find a file"), back=of.place.snapshots(), search=True, pattern=pattern
    )  # fmt: skip


@route(blueprint, "/hosts/<host_id>/find", role="operator", methods=["POST"])
async def begin_to_find(host_id: str) -> Response:
    """Form `plan` and `pattern`: leads to the page that shows what was found."""
    form = await request.form
    of = await backups(host_id, form)
    pattern = form.get("pattern") or ""
    if len(pattern.encode()) > _LONGEST_PATTERN:
        raise Problem(422, _("A pattern has at most 1,000 bytes."), "invalid")
    return go(of.place.found(pattern))


def _no_plans(of: Backups) -> NoAnswer:
    return NoAnswer(
        _("%s has no plans") % of.host.name,
        _("Its agent names the plans of agent.toml when it connects. What only runs by “rmactors agent exec” cannot be"
          " looked into from here."), again=False,
    )  # fmt: skip
