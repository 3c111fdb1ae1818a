"""`rmactors jobs`: over the API."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from rmactors.agent.restore_patterns import shown
from rmactors.cli.remote import Refused, Remote, listing, remote_command
from rmactors.client import views
from rmactors.client.connection import segment
from rmactors.common.text import one_line
from rmactors.common.vocabulary import JOB_KINDS, JOB_STATUSES

_LOOK_SECONDS = 1.0


@click.group()
def jobs() -> None:
    """Jobs: list, show, log, run, snapshots, cancel. Speaks to a server's API."""


@remote_command(jobs, "list")
@click.option("--host", help="Name or id.")
@click.option("--kind", type=click.Choice(JOB_KINDS))
@click.option("--status", type=click.Choice(JOB_STATUSES))
@listing
def list_jobs(remote: Remote, host: str | None, kind: str | None, status: str | None, limit: int | None) -> None:
    """List jobs, newest first."""
    host_id = remote.host_id(host) if host else None
    names = {} if remote.as_json else {item["id"]: item["name"] for item in remote.api.items("/api/hosts")}
    found = remote.api.items("/api/jobs", host_id=host_id, kind=kind, status=status)
    remote.rows(found, views.jobs(names, datetime.now(UTC)), limit)


@remote_command(jobs, "show")
@click.argument("job_id", metavar="ID")
def show(remote: Remote, job_id: str) -> None:
    """One job."""
    remote.show(remote.api.call("GET", f"/api/jobs/{segment(job_id)}"), views.job)


@remote_command(jobs, "log")
@click.argument("job_id", metavar="ID")
def log(remote: Remote, job_id: str) -> None:
    """The job's output, from the first line on."""
    lines = remote.api.items(f"/api/jobs/{segment(job_id)}/log")
    if remote.as_json:
        click.echo(json.dumps(list(lines), indent=2))
        return
    for line in lines:
        if line["stream"] == "gap":
            click.echo(f"[{one_line(line['text'])}]", err=True)
        else:
            click.echo(one_line(line["text"]), err=line["stream"] == "stderr")


@remote_command(jobs, "run")
@click.argument("host")
@click.argument("kind", type=click.Choice(JOB_KINDS))
@click.option("--plan", help="A plan in the host's agent.toml; optional if there is only one.")
@click.option("--repository", help="Instead of a plan: for check, prune, init, unlock, snapshots.")
@click.option("--snapshot", help="restore: an id, or latest, which is the default.")
@click.option("--include", multiple=True, metavar="PATH", help="restore: only this file or folder; can be repeated.")
@click.option(
    "--target",
    metavar="FOLDER",
    help="restore: where to; one of the folders in `restore_targets` of the host's agent.toml, or one below it.",
)
@click.option(
    "--dry-run", is_flag=True, help="restore: start nothing, ask the host how much it would write, and where to."
)
@click.option("--from", "from", metavar="ID", help="diff: the older snapshot.")
@click.option("--to", metavar="ID", help="diff: the newer snapshot.")
@click.option("--prune/--no-prune", default=None, help="forget: prune afterwards or not, regardless of the plan.")
@click.option("--read-data", is_flag=True, default=None, help="check: also read all data.")
@click.option("--read-data-subset", metavar="N/M|P%", help="check: also read a part of the data, such as 1/5 or 10%.")
@click.option("--sample-files", type=click.IntRange(1, 1000), help="restore_test: at most so many files; 20.")
@click.option("--sample-bytes", type=click.IntRange(1), help="restore_test: at most so many bytes; 1 GiB.")
@click.option("--schedule", "schedule_id", help="Id of a schedule: the run counts for it and uses its plan.")
@click.option("--wait", is_flag=True, help="Wait until the job has finished; the exit code is 1 unless it succeeded.")
def run(
    remote: Remote, host: str, kind: str, schedule_id: str | None, wait: bool, dry_run: bool, **params: Any
) -> None:
    """Run a job on a host (name or id); queued while the host is offline.

    The server refuses parameters that KIND does not have, and names those that it has.
    """
    if dry_run:
        if kind != "restore" or wait or schedule_id:
            raise click.UsageError("--dry-run is for restore, without --wait and --schedule")
        outlook = remote.api.call("POST", f"/api/hosts/{remote.host_id(host)}/restore-preview", _given(params))
        remote.show(outlook, views.restore_preview)
        return
    body: dict[str, Any] = {"kind": kind, "params": _given(params)}
    if schedule_id:
        body["schedule_id"] = schedule_id
    job = remote.api.call("POST", f"/api/hosts/{remote.host_id(host)}/jobs", body)
    if wait:
        job = _ended(remote, job)
    remote.show(job, views.job)
    if wait:
        _must_have_succeeded(job)


@remote_command(jobs, "snapshots")
@click.argument("host")
@click.option("--plan", help="A plan in the host's agent.toml; optional if there is only one.")
@click.option("--repository", help="Instead of a plan: all snapshots of the repository, from any host or tool.")
def snapshots(remote: Remote, host: str, **params: Any) -> None:
    """Ask a host (name or id) for its snapshots now, and list them, the newest first."""
    body = {"kind": "snapshots", "params": _given(params)}
    job = _ended(remote, remote.api.call("POST", f"/api/hosts/{remote.host_id(host)}/jobs", body))
    _must_have_succeeded(job)
    remote.rows(views.newest_first(job["stats"].get("snapshots")), views.SNAPSHOTS, None)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """What was said on the command line, as the API takes it."""
    given = {name: list(map(shown, value)) if isinstance(value, tuple) else value for name, value in params.items()}
    return {name: value for name, value in given.items() if value not in (None, [])}


def _ended(remote: Remote, job: dict[str, Any]) -> dict[str, Any]:
    """The job when it has ended."""
    while job["status"] in ("queued", "running"):
        time.sleep(_LOOK_SECONDS)
        job = remote.api.call("GET", f"/api/jobs/{segment(job['id'])}")
    return job


def _must_have_succeeded(job: Mapping[str, Any]) -> None:
    if job["status"] != "succeeded":
        part = "did not restore everything" if job["kind"] == "restore" else "could not read everything"
        words = {"failed": "failed", "partial": part}.get(job["status"], f"was {job['status']}")
        raise Refused(f"the job {words}{': ' + job['error'] if job['error'] else ''}")


@remote_command(jobs, "cancel")
@click.argument("job_id", metavar="ID")
def cancel(remote: Remote, job_id: str) -> None:
    """Ask the host to stop a job; a job that was not sent yet ends at once."""
    remote.show(remote.api.call("POST", f"/api/jobs/{segment(job_id)}/cancel"), views.job)
