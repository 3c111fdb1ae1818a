"""`rmactors simulate`: many protocol-true agents against a server, for sizing and benchmarks.

Needs the base installation alone. The server is whatever answers at the addresses given.
"""

import resource
import signal
import sys
import time
from pathlib import Path

import click
import trio

from rmactors.agent.connection import LinkDown
from rmactors.agent.server_url import agent_url
from rmactors.client.connection import ApiError
from rmactors.common import ids
from rmactors.common.text import one_line
from rmactors.simulate.agent import EnrollmentRefused, SimCredential, enroll
from rmactors.simulate.enroll import append_credentials, enroll_many, load_credentials, remove_many
from rmactors.simulate.fleet import Fleet, Tally, Workload


@click.command()
@click.option("--agents", type=click.IntRange(min=1), required=True, help="How many hosts to play.")
@click.option("--server", default="ws://127.0.0.1:8081", show_default=True, help="The agents' port of the server.")
@click.option("--api", default="http://127.0.0.1:8080", show_default=True, help="Its API, for enrolling and removing.")
@click.option("--token-file", type=click.Path(path_type=Path), help="An admin's API token; enrolls what is missing.")
@click.option(
    "--enrollment-tokens-file",
    type=click.Path(path_type=Path),
    help="Instead: enrollment tokens, one a line, one a host.",
)
@click.option(
    "--hosts-file",
    type=click.Path(path_type=Path),
    default=Path("simulated-hosts.jsonl"),
    show_default=True,
    help="Keeps the hosts' credentials, so that the next run brings the same hosts back.",
)
@click.option("--name", default="sim", show_default=True, help="Hosts are called NAME-00001 and so on.")
@click.option(
    "--report-rate", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Reports/s, all together."
)
@click.option(
    "--fail-rate", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Share of runs that fail."
)
@click.option("--heartbeat-seconds", type=click.FloatRange(min=0.01), help="Instead of what the server says.")
@click.option(
    "--connect-rate", type=click.FloatRange(min=1), default=200.0, show_default=True, help="First connections/s."
)
@click.option("--duration", type=click.FloatRange(min=0.1), help="Seconds; without it, until Ctrl-C.")
@click.option("--every", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Seconds between lines.")
@click.option("--remove", is_flag=True, help="Delete the hosts again at the end (needs --token-file).")
def simulate(
    agents: int,
    server: str,
    api: str,
    token_file: Path | None,
    enrollment_tokens_file: Path | None,
    hosts_file: Path,
    name: str,
    report_rate: float,
    fail_rate: float,
    heartbeat_seconds: float | None,
    connect_rate: float,
    duration: float | None,
    every: float,
    remove: bool,
) -> None:
    """Play many agents that report backups, and say how the server keeps up.

    Each run of a backup makes two reports, its start and its end. Simulated agents have no restic and keep no
    schedules; jobs that the server asks for end at once. The exit code is 1 where the server refused a report or
    an agent, or left a report without an ack.
    """
    if remove and token_file is None:
        raise click.UsageError("--remove needs --token-file")
    try:
        url = agent_url(server)
        token = _secret(token_file) if token_file else None
        known = load_credentials(hosts_file)
        _allow_open_files(agents)
        if (missing := agents - len(known)) > 0:
            known += trio.run(_enroll, missing, len(known), name, url, api, token, enrollment_tokens_file, hosts_file)
        workload = Workload(report_rate, fail_rate, connect_rate, heartbeat_seconds)
        fleet = Fleet(url, known[:agents], workload)
        well = trio.run(_run, fleet, duration, every)
        if remove and token is not None:
            trio.run(remove_many, api, token, known)
            hosts_file.unlink()
    except (ApiError, EnrollmentRefused, LinkDown, OSError, ValueError) as error:
        raise click.ClickException(one_line(str(error))) from None
    sys.exit(0 if well else 1)


def _secret(file: Path) -> str:
    return file.read_text().strip()


def _allow_open_files(agents: int) -> None:
    """One socket per agent and some more. Raises ValueError where the system does not allow it."""
    need = agents + 100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        raise ValueError(f"{agents} agents need {need} open files, the limit is {hard}: raise it with ulimit -n")
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


async def _enroll(
    count: int,
    known: int,
    name: str,
    url: str,
    api: str,
    token: str | None,
    tokens_file: Path | None,
    hosts_file: Path,
) -> list[SimCredential]:
    """Credentials of that many new hosts, kept in the file as they come."""
    run = ids.new()[-6:].lower()  # so that hosts of a lost file do not stand in the way
    names = [f"{name}-{run}-{known + n + 1:05}" for n in range(count)]
    made: list[SimCredential] = []
    if tokens_file is not None:
        tokens = _secret(tokens_file).split()
        if len(tokens) < count:
            raise ValueError(f"{tokens_file} has {len(tokens)} enrollment tokens, {count} hosts are to be enrolled")
        for host, one in zip(names, tokens, strict=False):
            credential = await enroll(url, one, host)
            append_credentials(hosts_file, [credential])
            made.append(credential)
        return made
    if token is None:
        raise ValueError(f"{count} hosts are to be enrolled: give --token-file or --enrollment-tokens-file")
    for start in range(0, count, 100):
        some = await enroll_many(api, token, url, names[start : start + 100])
        append_credentials(hosts_file, some)
        made += some
        click.echo(f"enrolled {len(made)} of {count}", err=True)
    return made


async def _run(fleet: Fleet, duration: float | None, every: float) -> bool:
    """Run it, a line now and then, and say in the end whether all was well."""
    began = time.monotonic()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fleet.run)
            nursery.start_soon(_show, fleet, every, began)
            with trio.move_on_after(duration if duration is not None else float("inf")):
                async for _ in signals:
                    break
            fleet.stop_reporting()
            settled = await fleet.settled(10)
            nursery.cancel_scope.cancel()
    refused, ended = sum(fleet.total.refused.values()), sum(fleet.ended.values())
    click.echo(
        f"{time.monotonic() - began:.1f} s: {fleet.total.sent} reports, {fleet.total.acked} acked, "
        f"{fleet.waiting} without an ack, {refused} refused, {fleet.reconnects} reconnects, {ended} agents not wanted"
    )
    for what, count in (fleet.total.refused + fleet.ended).items():
        click.echo(f"  {count} × {what}")
    return settled and not refused and not ended


async def _show(fleet: Fleet, every: float, began: float) -> None:
    while True:
        await trio.sleep(every)
        click.echo(line(fleet.take_window(), every, time.monotonic() - began, fleet.connected, fleet.waiting))


def line(window: Tally, every: float, elapsed: float, connected: int, waiting: int) -> str:
    """One line about the last `every` seconds."""
    p50, p99 = window.percentile(0.5), window.percentile(0.99)
    return (
        f"{elapsed:6.0f} s  {connected} connected  {waiting} waiting  {window.sent / every:.1f} reports/s  "
        f"{window.acked / every:.1f} acked/s  ack p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )
