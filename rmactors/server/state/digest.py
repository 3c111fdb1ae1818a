"""What a digest is made of: the channel that wants one, and how each host did. Times in microseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DigestChannel:
    """An enabled channel with a digest. `digest` is how that is stored, `since` the end of what the last one covered.
    Empty `host_tags`: it is about every host."""

    id: str
    digest: str
    cron: str
    timezone: str
    since: int
    host_tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class HostFigures:
    """How the backups of one host did in the time of a digest, and what is open by now.

    `good`, `partial` and `failed` count backups that ended, `added` is what they added, in bytes. `expected`: one
    should have run. `open` counts alerts that nobody has acknowledged, `critical` those among them; `overdue` counts
    backups that are older than they may be.
    """

    name: str
    good: int = 0
    partial: int = 0
    failed: int = 0
    added: int = 0
    last_good_at: int | None = None
    expected: bool = True
    open: int = 0
    critical: int = 0
    overdue: int = 0
