"""Writes about hosts, their credentials and what they said of themselves."""

from dataclasses import dataclass

from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class RecordHello:
    """What an agent said of itself. With `report_only` it is no sign of life.

    `clock_offset_seconds` is the host's clock minus the server's, None if the host did not say the time.
    `restic_told` False: it has not looked for restic, what is known stays. `spool_problem` is why it cannot keep
    reports on disk, with the time from when on; None if it can. `plans`, `allow` and `restore_targets` are JSON lists;
    the last two None if the agent does not tell.
    """

    host_id: str
    at: int
    report_only: bool
    agent_version: str
    hostname: str
    os: str
    arch: str
    timezone: str
    restic_version: str | None
    plans: str
    clock_offset_seconds: float | None = None
    tzdata_version: str | None = None
    restic_problem: str | None = None
    restic_told: bool = True
    spool_problem: str | None = None
    spool_problem_since: int | None = None
    allow: str | None = None
    restore_targets: str | None = None


@dataclass(frozen=True, slots=True)
class RecordSigns:
    """Newest sign of life of many hosts: (host id, microseconds). Of those whose clocks have changed, (host id,
    the host's clock minus the server's, in seconds)."""

    signs: tuple[tuple[str, int], ...]
    clock_offsets: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class NoteOnHost:
    """Something an operator should see on the host's page."""

    id: str
    host_id: str
    at: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class UpdateHost:
    """New name or tags. Refused `not_found` or `name_taken`."""

    host_id: str
    name: str | None
    tags: tuple[str, ...] | None
    audit: Audit


@dataclass(frozen=True, slots=True)
class TagHost:
    """Puts a tag on a host, or takes it off. Refused `not_found`, or `invalid` for too many tags."""

    host_id: str
    tag: str
    on: bool
    audit: Audit


@dataclass(frozen=True, slots=True)
class PauseHost:
    """Its schedules are turned off, or on again, after it, by who looks after policies. Refused `not_found`."""

    host_id: str
    paused: bool
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class RotateHostToken:
    host_id: str
    token_hash: str
    audit: Audit


@dataclass(frozen=True, slots=True)
class DeleteHost:
    """Revokes the credential; the host's alerts are resolved by the rules' own writes beside this one."""

    host_id: str
    at: int
    audit: Audit
