"""`/api/openapi.json`: the API described in OpenAPI 3.1, made from the table of routes and the types they use."""

from collections.abc import Iterable
from typing import Any

import msgspec
from quart import Blueprint, Quart, Response, current_app
from quart_schema import QuartSchema
from quart_schema.openapi import APIKeySecurityScheme, HttpSecurityScheme, Info, OpenAPIProvider
from werkzeug.routing import Rule as UrlRule

from rmactors import PRODUCT, __version__
from rmactors.server.web.access import ROUTES, Rule, route
from rmactors.server.web.fields import ID_PATTERN

blueprint = Blueprint("api_description", __name__)

_REF = "#/components/schemas/{name}"
_ID = {"type": "string", "pattern": ID_PATTERN}
_PROBLEMS = {
    400: "The body is not JSON.",
    401: "Not signed in.",
    403: "The role is too weak, the request comes from another site, or the password must be shown again.",
    404: "There is no such object.",
    408: "The body did not arrive in time.",
    409: "It conflicts with the current state.",
    413: "The body is larger than 1 MiB.",
    421: "The server does not go by that host name.",
    422: "Something in it is not valid.",
    429: "Too many tries.",
    500: "A fault of the server; its log says which.",
    502: "The agent of the host could not do it.",
    503: "The server cannot store or read at the moment.",
    504: "The agent of the host gave no answer in time.",
}
_ASKS_AGENTS = "api_looking"
"""The blueprint of the routes for which an agent is asked."""


_OTHER_ANSWERS = {
    "/metrics": ("text/plain", {"type": "string"}),
    "/events": ("text/event-stream", {"type": "string"}),
    "/api/openapi.json": ("application/json", {"type": "object"}),
}
"""Answers that are made of none of our types: media type and schema."""


class FieldProblem(msgspec.Struct):
    """`pointer` is a JSON pointer into the body, or the name of a query parameter behind a slash."""

    pointer: str
    detail: str


class ProblemBody(msgspec.Struct):
    """RFC 9457. `queued`: how many messages wait on a channel that is to be disabled."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | msgspec.UnsetType = msgspec.UNSET
    queued: int | msgspec.UnsetType = msgspec.UNSET


@route(blueprint, "/api/openapi.json", role="viewer")
async def openapi() -> Response:
    """This description."""
    made: bytes | None = current_app.extensions.get("rmactors.openapi")
    if made is None:
        # The application itself: what makes the description holds on to it, which it cannot to a proxy.
        app = getattr(current_app, "_get_current_object", lambda: current_app)()
        made = msgspec.json.encode(describe(app))
        current_app.extensions["rmactors.openapi"] = made
    return Response(made, content_type="application/json")


def describe(app: Quart) -> dict[str, Any]:
    """The description as plain values."""
    extension = QuartSchema(
        info=Info(PRODUCT, __version__),
        security_schemes={
            "token": HttpSecurityScheme("bearer"),
            "session": APIKeySecurityScheme("__Host-rm", "cookie"),
        },
        security=[{"token": []}, {"session": []}],
        conversion_preference="msgspec",
    )
    return _Provider(app, extension).schema()


class _Provider(OpenAPIProvider):
    """quart-schema's description with operations from our own table, which knows each method's types and role."""

    def generate_rules(self) -> Iterable[UrlRule]:
        for rule in self._app.url_map.iter_rules():
            if rule.rule.startswith("/api/") or rule.rule in ("/healthz", "/metrics", "/events"):
                yield rule

    def build_paths(self, rule: UrlRule) -> tuple[dict[str, Any], dict[str, Any]]:
        path, components = _path(rule.rule), {}
        operations = {}
        for method in self.generate_methods(rule):
            known = ROUTES[rule.endpoint, method]
            view = self._app.view_functions[rule.endpoint]
            operations[method.lower()], used = _operation(rule, known, view.__doc__ or "", method)
            components.update(used)
        return {path: operations}, components


def _operation(rule: UrlRule, known: Rule, doc: str, method: str) -> tuple[dict[str, Any], dict[str, Any]]:
    types = [kind for kind in (known.body, known.answer, ProblemBody, *known.query.values()) if kind is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(map(repr, types), schemas, strict=True))
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _ID} for name in sorted(rule.arguments)
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": schema_of[repr(kind)]}
        for name, kind in known.query.items()
    ]
    answer: dict[str, Any] = {"description": "Done." if known.answer is None else "As asked."}
    if known.answer is not None:
        answer["content"] = {"application/json": {"schema": schema_of[repr(known.answer)]}}
    elif known.path in _OTHER_ANSWERS:
        media, schema = _OTHER_ANSWERS[known.path]
        answer = {"description": "As asked.", "content": {media: {"schema": schema}}}
    responses: dict[str, Any] = {str(known.status): answer}
    if known.path == "/healthz":
        responses["503"] = answer
    else:
        for status in _problems_of(rule, known, method):
            responses[str(status)] = {
                "description": _PROBLEMS[status],
                "content": {"application/problem+json": {"schema": schema_of[repr(ProblemBody)]}},
            }
    operation: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": (doc.strip().splitlines() or [""])[0],
        "tags": [known.path.removeprefix("/api/").strip("/").partition("/")[0]],
        "x-role": known.need,
        "parameters": parameters,
        "responses": responses,
    }
    if known.need == "public":
        operation["security"] = []
    if known.body is not None:
        schema = schema_of[repr(known.body)]
        operation["requestBody"] = {
            "required": not known.optional_body,
            "content": {"application/json": {"schema": schema}},
        }
    return operation, components


def _problems_of(rule: UrlRule, known: Rule, method: str) -> list[int]:
    """The statuses of errors that an operation may answer."""
    found = {401, 403, 421, 500, 503}
    if rule.arguments:
        found.add(404)
    if known.query:
        found.add(422)
    if method != "GET":
        found |= {400, 404, 408, 409, 413, 422, 429}
    if rule.endpoint.partition(".")[0] == _ASKS_AGENTS:
        found |= {409, 422, 502, 504}
    return sorted(found)


def _path(rule: str) -> str:
    return rule.replace("<", "{").replace(">", "}")
