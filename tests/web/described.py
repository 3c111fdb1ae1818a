"""The API's description as a judge: every answer that a test gets of the API is held against it."""

import json
import re
from typing import Any

from openapi_schema_validator import OAS31Validator, oas31_format_checker

ANYWHERE = {308, 404, 405}
"""Addresses and methods that are no operation, or only nearly: there is nothing to describe."""


class Description:
    """An OpenAPI 3.1 document, and what it says of requests and answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        self._validators: dict[str, OAS31Validator] = {}
        self._operations = [
            (re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)) + "$"), path, methods)
            for path, methods in document["paths"].items()
        ]
        self._operations.sort(key=lambda found: "{" in found[1])  # `…/preview` before `…/{id}`

    def judge(self, method: str, path: str, body: bytes | None, status: int, content_type: str, answer: bytes) -> None:
        """Raises AssertionError where the answer, or a request that was taken, is not as described."""
        operation = self._operation("GET" if method == "HEAD" else method, path.partition("?")[0])
        if operation is None:
            assert status in ANYWHERE, f"{method} {path} is in no description, and answers {status}"
            return
        where = f"{method} {path} → {status}"
        described = operation["responses"].get(str(status))
        assert described is not None, f"{where}: the status is not described"
        contents: dict[str, Any] = described.get("content", {})
        if method != "HEAD" and (contents or answer):
            found = content_type.partition(";")[0]
            assert found in contents, f"{where}: {found} is not described"
            if "json" in found:
                self._hold(json.loads(answer), contents[found]["schema"], where)
        if status < 300 and body and "requestBody" not in operation:
            assert json.loads(body) == {}, f"{where}: it takes no body"
        elif status < 300 and body:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self._hold(_without_read_only(json.loads(body), schema, self._components), schema, f"{where}: the request")

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, _, methods in self._operations:
            if pattern.match(path):
                found: dict[str, Any] | None = methods.get(method.lower())
                return found
        return None

    def _hold(self, value: Any, schema: dict[str, Any], where: str) -> None:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self._components}
            self._validators[key] = OAS31Validator(whole, format_checker=oas31_format_checker)
        error = next(self._validators[key].iter_errors(value), None)
        assert error is None, f"{where}: {error.message} at {list(error.absolute_path)}" if error else ""


def _without_read_only(body: Any, schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """What was read may be sent back: keys that only the server writes are taken and ignored."""
    known = components["schemas"][schema["$ref"].rsplit("/", 1)[1]]["properties"] if "$ref" in schema else {}
    return {name: value for name, value in body.items() if name in known} if isinstance(body, dict) else body
