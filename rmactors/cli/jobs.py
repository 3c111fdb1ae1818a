"""`rmactors jobs`: over the API."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import click

from rmactors.cli.remote import Refused, Remote, listing, remote_command
from rmactors.client import views
from rmactors.client.connection import segment
from rmactors.client.tables import plain
from rmactors.vocabulary import JOB_KINDS, JOB_STATUSES

_LOOK_SECONDS = 1.0


@click.group()
def jobs() -> None:
    """Jobs: list, show, log, run, cancel. Speaks to a server's API."""


@remote_command(jobs, "list")
@click.option("--host", help="Name or id.")
@click.option("--kind", type=click.Choice(JOB_KINDS))
@click.option("--status", type=click.Choice(JOB_STATUSES))
@listing
def list_jobs(remote: Remote, host: str | None, kind: str | None, status: str | None, limit: int | None) -> None:
    """The newest first."""
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
    """What it wrote, from the first line on."""
    lines = remote.api.items(f"/api/jobs/{segment(job_id)}/log")
    if remote.as_json:
        click.echo(json.dumps(list(lines), indent=2))
        return
    for line in lines:
        if line["stream"] == "gap":
            click.echo(f"[{plain(line['text'])}]", err=True)
        else:
            click.echo(plain(line["text"]), err=line["stream"] == "stderr")


@remote_command(jobs, "run")
@click.argument("host")
@click.argument("kind", type=click.Choice(JOB_KINDS))
@click.option("--plan", help="Of the host's agent.toml; may be left out where it has one alone.")
@click.option("--schedule", "schedule_id", help="Id of the schedule that the run counts for.")
@click.option("--wait", is_flag=True, help="Until it has ended; the exit code is 1 unless it succeeded.")
def run(remote: Remote, host: str, kind: str, plan: str | None, schedule_id: str | None, wait: bool) -> None:
    """Run a job on a host (name or id); queued while the host is away."""
    body: dict[str, Any] = {"kind": kind, "params": {"plan": plan} if plan else {}}
    if schedule_id:
        body["schedule_id"] = schedule_id
    job = remote.api.call("POST", f"/api/hosts/{remote.host_id(host)}/jobs", body)
    while wait and job["status"] in ("queued", "running"):
        time.sleep(_LOOK_SECONDS)
        job = remote.api.call("GET", f"/api/jobs/{job['id']}")
    remote.show(job, views.job)
    if wait and job["status"] != "succeeded":
        raise Refused(f"the job is {job['status']}")


@remote_command(jobs, "cancel")
@click.argument("job_id", metavar="ID")
def cancel(remote: Remote, job_id: str) -> None:
    """Ask the host to stop it; one that was never sent ends at once."""
    remote.show(remote.api.call("POST", f"/api/jobs/{segment(job_id)}/cancel"), views.job)
