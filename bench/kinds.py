"""Another kind of channel than the webhook: what a message of it costs, and whether one that hangs holds others up."""

from functools import partial

from bench.figures import Figure
from bench.load import Clockwork, connected, pump_all
from bench.measures import Report, Scale, only_channel, queue_empty
from bench.process import cpu_seconds
from harness.processes import Server, away
from harness.sink import Sink
from rmactors.simulate.agent import SimCredential


async def slack(server: Server, sink: Sink, scale: Scale, credentials: list[SimCredential], report: Report) -> None:
    """A queue drained to Slack, then its messages at 100/s beside another Slack channel that hangs."""
    await _slack_channel(server, sink, "slack")
    await only_channel(server, "slack")
    async with connected(server, credentials) as links:
        sink.feel("error", path="/slack", status=503)
        each = scale.drain // len(links)
        await pump_all(links, [[link.report(f"slack-{n}") for n in range(each)] for link in links], 20)
        told, cpu = len(sink.told("/slack")), cpu_seconds(server.pid)
        sink.feel("up", path="/slack")
        await queue_empty(server)
        count = len(sink.told("/slack")) - told
        cpu = (cpu_seconds(server.pid) - cpu) / count * 1000
        report(Figure("CPU per drained Slack message", cpu, "ms", note=f"{count:,}, and the queue seen empty"))

        alone = Clockwork(sink, "/slack")
        await alone.run(links, 100, scale.latency_seconds, "alone")
        sink.feel("hang", path="/hanging")
        await _slack_channel(server, sink, "hanging")
        beside = Clockwork(sink, "/slack")
        await beside.run(links, 100, scale.latency_seconds, "next-to-it")
        note = f"it was {alone.p(0.99):.1f} ms without"
        report(Figure("p99 of Slack while another Slack channel hangs", beside.p(0.99), "ms", 100, note=note))
        sink.feel("up", path="/hanging")


async def _slack_channel(server: Server, sink: Sink, name: str) -> None:
    await away(partial(server.channel, "slack", name, {"webhook_url": sink.url(f"/{name}")}))
