"""What PagerDuty says in its answers. Pure.

https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic: an event is taken with a 202
and `"status": "success"`; a 400 has a list of errors and stays one; 429 and 5xx are to be tried again.
"""

import httpx

from rmactors.server.channels.answers import Judgement, json_object, judge_http, not_of, own_refusal, text_of, texts_of


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """As `judge_http`, by the status in the body, with the errors that a refusal lists."""
    judged = judge_http(answer, body, at)
    found = json_object(body)
    if judged.verdict == "delivered":
        return judged if found.get("status") == "success" else not_of("PagerDuty", answer)
    if answer.status_code == 400 and isinstance(found.get("status"), str):
        said = texts_of(found.get("errors")) or text_of(found.get("message")) or found["status"]
        return own_refusal(answer, said)
    return judged
