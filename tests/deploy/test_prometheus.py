"""`deploy/prometheus` and `deploy/grafana`, tried with the real Prometheus and a real server."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from harness.agents import ended, enroll_host, simulated
from harness.ports import free_port
from harness.processes import Server, away, eventually, running_server
from harness.sink import open_sink
from harness.tools import DEPLOY, program, running

PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "rmactors.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "rmactors.json"
OURS = re.compile(r"\b(?:rmactors|process|python)_[a-z_]+")


def expressions() -> dict[str, str]:
    """Every query of the dashboard, by the title of its panel."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", ())
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("scraped") / "server") as running:
        yield running


def told_metrics(server: Server) -> set[str]:
    """The name of every metric that `/metrics` speaks of, those of histograms with what Prometheus appends."""
    text = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.token}"}, trust_env=False).text
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=lambda file: file.name)
def test_every_metric_that_is_used_is_told(server: Server, file: Path) -> None:
    used = set(OURS.findall(file.read_text()))
    told = told_metrics(server)
    assert len(used) >= 5
    assert used <= told, f"no such metric: {sorted(used - told)}"


def test_every_documented_metric_is_told(server: Server) -> None:
    table = (DEPLOY.parent / "docs" / "operating.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    documented = {name.removesuffix("_total") for name in OURS.findall(table) if name not in ("process_", "python_gc_")}
    told = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in told_metrics(server)}
    assert len(documented) >= 20
    assert documented <= told | {"rmactors_last_success_left_off"}, sorted(documented - told)


def test_promtool_accepts_configuration_and_rules_and_the_rules_pass_their_tests(tmp_path: Path) -> None:
    promtool = program("promtool")
    for file in PROMETHEUS.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "rmactors.token").write_text("rma_none\n")
    for words in (
        ["check", "rules", "--lint=all", "--lint-fatal", RULES.name],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "rmactors.rules.test.yml"],
    ):
        done = subprocess.run([promtool, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A Prometheus that runs: what it answers."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **query: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=20, trust_env=False).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, expression: str) -> float | None:
        """The first sample that an expression gives now."""
        found = self.ask("query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None

    def is_up(self) -> bool:
        try:
            if httpx.get(f"{self.url}/-/ready", trust_env=False).status_code != 200:
                return False
        except httpx.TransportError:
            return False
        return self.value('up{job="rmactors"}') == 1


async def test_a_real_prometheus_scrapes_a_server_and_every_panel_has_an_answer(server: Server, tmp_path: Path) -> None:
    binary = program("prometheus")
    text = (PROMETHEUS / "prometheus.yml").read_text()
    assert text.count("127.0.0.1:8080") == 1
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace("interval: 30s", "interval: 500ms")
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / RULES.name).write_text(RULES.read_text())
    token = await away(lambda: server.admin("create-api-token", "--name", "prometheus", "--role", "viewer"))
    (tmp_path / "rmactors.token").write_text(token + "\n")
    port = free_port()
    command = [
        binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    prometheus = Prometheus(port)
    credential = await enroll_host(server, "nas")
    async with open_sink() as sink, simulated(server, credential) as [agent]:
        await away(lambda: server.webhook(sink.url()))
        with running(command, tmp_path) as output:

            def until(expression: str, expected: float) -> None:
                eventually(
                    lambda: prometheus.value(expression) == expected, 30,
                    lambda: f"{expression}: {prometheus.value(expression)}\n{output.read_text()[-2000:]}",
                )  # fmt: skip

            await away(lambda: eventually(prometheus.is_up, 60, lambda: output.read_text()[-4000:]))
            agent.report(ended("home", "failed"))
            agent.report(ended("mail", "succeeded"))
            with trio.fail_after(30):
                await agent.settled()
            await sink.until_told(1)
            await away(lambda: until('rmactors_reports_total{result="failed"}', 1))
            await away(lambda: until('rmactors_notification_attempts_total{result="delivered"}', 1))
            await away(lambda: until('rmactors_alerts_open{severity="warning", state="open"}', 1))
            await away(lambda: until("count_over_time(rmactors_info[1m]) > bool 2", 1))
            for title, expression in expressions().items():
                asked = expression.replace("$__rate_interval", "1m").replace("$job", "rmactors")
                data = await away(lambda asked=asked: prometheus.ask("query", query=asked))
                assert data["result"], f"{title}: {asked} has no answer"
            [group] = (await away(lambda: prometheus.ask("rules")))["groups"]
            assert {rule["lastError"] for rule in group["rules"] if "lastError" in rule} == set()
            assert len(group["rules"]) >= 10
            targets = (await away(lambda: prometheus.ask("targets")))["activeTargets"]
            assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")]


def test_prometheus_gets_nothing_without_a_token(server: Server) -> None:
    answer = httpx.get(f"{server.url}/metrics", trust_env=False)
    assert answer.status_code == 401
    assert "rmactors_" not in answer.text
