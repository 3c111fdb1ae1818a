"""`/metrics` of a real server: what an administrator's Prometheus would read."""

import httpx
import trio
from prometheus_client.parser import text_string_to_metric_families

from harness.agents import ended, enroll_host, simulated
from harness.processes import Server, away, eventually
from harness.sink import Sink


def scrape(server: Server, token: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels, by the reference parser."""
    response = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert response.status_code == 200, response.text
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(response.text):
        assert family.documentation, f"{family.name} does not say what it is"
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


async def test_the_metrics_tell_what_a_fleet_did(server: Server, sink: Sink) -> None:
    await away(lambda: server.webhook(sink.url()))
    credential = await enroll_host(server, "nas1")
    token: str = await away(lambda: server.admin("create-api-token", "--name", "prometheus", "--role", "viewer"))
    async with simulated(server, credential) as [agent]:
        agent.report(ended("home", "failed", error="disk on fire"))
        agent.report(ended("mail", "succeeded"))
        with trio.fail_after(30):
            await agent.settled()
        await sink.until(lambda sink: len(sink.told()) == 1)
        samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

        def value(name: str, **labels: str) -> float:
            return samples.get((name, frozenset(labels.items())), -1.0)

        def attempt_counted() -> bool:
            samples.clear()
            samples.update(scrape(server, token))
            return value("rmactors_notification_attempts_total", channel_kind="webhook", result="delivered") == 1

        await away(lambda: eventually(attempt_counted, 60, lambda: f"{sorted(map(str, samples))}"))
    assert value("rmactors_agents_connected") == 1
    assert value("rmactors_hosts") == 1
    assert value("rmactors_reports_total", kind="backup", result="failed") == 1
    assert value("rmactors_reports_total", kind="backup", result="succeeded") == 1
    assert value("rmactors_alerts_raised_total", kind="backup_failed", severity="warning") == 1
    assert value("rmactors_alerts_open", severity="warning", state="open") == 1
    assert value("rmactors_alerts_open", severity="critical", state="open") == 0
    assert value("rmactors_host_last_success_timestamp_seconds", host="nas1", kind="backup") > 1_700_000_000
    assert value("rmactors_oldest_due_delivery_seconds") == 0
    assert value("rmactors_channel_queued", channel="ops", kind="webhook") == 0
    assert value("rmactors_commit_seconds_count") > 3
    assert value("rmactors_commit_requests_sum") >= value("rmactors_commit_seconds_count")
    assert value("rmactors_mailbox_depth", mailbox="store") >= 0
    assert value("rmactors_mailbox_dropped_total", mailbox="store") == 0
    assert value("rmactors_check_ok", check="store") == 1
    assert value("rmactors_database_bytes") > 100_000
    assert value("process_resident_memory_bytes") > 10_000_000

    def lag_measured() -> bool:
        return scrape(server, token)["rmactors_event_loop_lag_seconds_count", frozenset()] > 0

    await away(lambda: eventually(lag_measured, 60, lambda: "the event loop's lag is not measured"))
