"""What a workflow of Power Automate answers. Pure.

https://learn.microsoft.com/en-us/azure/logic-apps/logic-apps-http-endpoint
"""

from typing import Final

import httpx

from rmactors.server.channels.answers import (
    Judgement,
    json_object,
    judge_http,
    later,
    not_of,
    own_refusal,
    status_line,
    text_of,
)  # fmt: skip

_HINTS: Final = {
    "WorkflowTriggerIsNotEnabled": "the workflow is switched off: switch it on in Teams or Power Automate",
    "WorkflowNotFound": "the workflow was deleted: make a new one, and store its URL here",
    "WorkflowTriggerNotFound": "the workflow has no webhook trigger: make it from the template for webhook requests",
    "DirectApiAuthorizationRequired": "the URL is not complete, or the workflow takes only signed-in people:"
    " let anyone trigger it, and copy its URL again",
    "AuthorizationFailed": "the URL is wrong: copy it again from the workflow",
    "TriggerInputSchemaMismatch": "the workflow expects something else than a card: make it from the template",
}  # fmt: skip


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """Accepted is 202, or 200 from a workflow with a response of its own. An error with a code is Microsoft's own."""
    status = answer.status_code
    if status in (200, 202) and "html" not in answer.headers.get("content-type", ""):
        return Judgement("delivered")
    error = json_object(body).get("error")
    judged = judge_http(answer, body, at)
    if judged.verdict == "delivered":
        return not_of("A workflow", answer)
    if not isinstance(error, dict) or not isinstance(code := error.get("code"), str):
        return judged
    said = ": ".join(filter(None, [code, _HINTS.get(code) or text_of(error.get("message"))]))
    if judged.verdict == "dead":
        return own_refusal(answer, said)
    return Judgement("retry", f"{status_line(answer)}: {said}", later(answer, said, None, at).retry_at)
