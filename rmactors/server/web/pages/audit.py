"""`/audit`: who did what, with filters, and as a file. For administrators."""

from quart import Blueprint, Response, request

from rmactors.common import clock
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.audit_targets import target_names
from rmactors.server.web import rows
from rmactors.server.web.access import route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.lists import cursor, more_href
from rmactors.server.web.pages.rendering import moment, page
from rmactors.server.web.views import sheets
from rmactors.server.web.views.audit import audit_lines

blueprint = Blueprint("audit", __name__)

_PAGE = 100
_EXPORTED = 50_000
_COLUMNS = ("at", "actor", "actor_kind", "action", "target_kind", "target_id", "result", "address", "detail")


@route(blueprint, "/audit", role="admin")
async def audit_trail() -> Response:
    action, who = _wanted()
    found = await services().reader.run(queries.audit, _PAGE, cursor((int,)), action, who)
    targets = [(row.target_kind, row.target_id) for row in found.items]
    names = await services().reader.run(target_names, targets)
    return await page(
        "audit.html", "settings", lines=audit_lines(found.items, names, moment()), action=action, actor=who,
        more=more_href(cursor_text(found.after)),
    )  # fmt: skip


@route(blueprint, "/audit.csv", role="admin")
async def export() -> Response:
    """The newest 50,000 entries under the same filters."""
    action, who = _wanted()
    found = await services().reader.run(queries.audit, _EXPORTED, None, action, who)

    def cells(row: queries.AuditRow) -> list[str]:
        said = (
            row.actor, row.actor_kind, row.action, row.target_kind, row.target_id, row.result, row.address, row.detail,
        )  # fmt: skip
        return [clock.to_rfc3339(row.at), *map(str, said)]

    def instead(row: queries.AuditRow) -> list[str]:
        return [*[""] * (len(_COLUMNS) - 1), f"{rows.cannot()}: {row.id}"]

    def write() -> str:
        return sheets.table(_COLUMNS, rows.each(found.items, cells, instead))

    return Response(
        await in_thread(write), content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
    )  # fmt: skip


def _wanted() -> tuple[str, str]:
    action, who = (request.args.get(name, "").replace("\0", "").strip()[:100] for name in ("action", "actor"))
    return action, who
