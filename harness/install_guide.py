"""Follows docs/install.md from an empty home directory to the first delivered notification, and times it.

    python -m harness.install_guide

Every `sh` block of the guide is run, in order, in one shell, as it stands there: a home of its own with this checkout
in it, a fresh virtual environment. Only the two ports are replaced by free ones, and ntfy.sh by a receiver of our
own. Exits 1 where a command fails, a notification does not come, or what was there is not there after the restore.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from harness.ports import free_port
from harness.sink import Sink, open_sink

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "install.md"
NTFY = "https://ntfy.sh"
PAGES, AGENTS = "127.0.0.1:8080", "127.0.0.1:8081"
MARK = "::step "
WITHIN = 600.0


@dataclass(frozen=True)
class Step:
    """A block of commands and the words before it that say what it is for."""

    title: str
    commands: str


@dataclass
class Walk:
    """What was seen. Times are seconds since the first command."""

    began: float = field(default_factory=time.monotonic)
    steps: list[tuple[str, float]] = field(default_factory=list)
    told: list[tuple[str, float]] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() - self.began


def steps(text: str) -> list[Step]:
    """The blocks to be run. A step is named by its heading or by the words in bold before it."""
    found, title = [], ""
    for match in re.finditer(r"^## ([^\n]+)$|^\*\*(.+?)\*\*|^```sh\n(.+?)^```$", text, re.MULTILINE | re.DOTALL):
        heading, bold, commands = match.groups()
        if commands is None:
            title = (heading or bold).rstrip(".,")
        else:
            found.append(Step(title, commands))
    return found


def script(found: list[Step], replaced: dict[str, str]) -> str:
    """One shell script that says when each step begins. Raises ValueError where something to replace is not there."""
    lines = ["set -eu"]
    for number, step in enumerate(found):
        lines += [f"echo; echo '{MARK}{number}'", step.commands]
    text = "\n".join(lines)
    for old, new in replaced.items():
        if old not in text:
            raise ValueError(f"the guide does not speak of {old} any more")
        text = text.replace(old, new)
    return text


def build_wheel(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)


def empty_environment(home: Path) -> dict[str, str]:
    """Nothing of the caller's but where pip finds packages. What a person would type at a prompt is a variable."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    python = Path(sys.executable).resolve().parent
    return kept | {
        "HOME": str(home),
        "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "RM_PASSWORD": "only for this trial",
        "RM_OUTBOUND_ALLOW": "loopback",
        "no_proxy": "127.0.0.1",
    }


async def follow(folder: Path, sink: Sink) -> tuple[Walk, bool]:
    """Run the guide; what was seen, and whether it got to its end and all is well there."""
    home = folder / "home"
    home.mkdir()
    (home / "restic-manager").symlink_to(ROOT)
    pages, agents = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    found = steps(GUIDE.read_text())
    text = script(found, {PAGES: pages, AGENTS: agents, NTFY: sink.url("")})
    variables = empty_environment(home) | {"RM_LISTEN": pages, "RM_AGENT_LISTEN": agents}
    walk = Walk()
    sink.on_request = lambda request: walk.told.append((request.headers.get("title", ""), walk.now()))
    process = await trio.lowlevel.open_process(
        ["bash", "-c", text], cwd=home, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        with trio.fail_after(WITHIN):
            assert process.stdout is not None
            await _read(process.stdout, found, walk)
            code = await process.wait()
        well = code == 0 and await trio.to_thread.run_sync(_is_well, f"http://{pages}", home / "rm" / "api-token")
        return walk, well
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _read(output: trio.abc.ReceiveStream, found: list[Step], walk: Walk) -> None:
    """Show what the commands say, note when each step begins, until the script says that it is over."""
    rest = b""
    async for chunk in output:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            if text.startswith(MARK):
                step = found[int(text.removeprefix(MARK))]
                walk.steps.append((step.title, walk.now()))
                print(f"\n--- {step.title}\n{step.commands}", flush=True)
            elif text:
                print(text, flush=True)


def _is_well(url: str, token_file: Path) -> bool:
    """After the restore: the server is healthy, and knows the host, the channel and the resolved alert."""
    headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
        hosts = [host["name"] for host in client.get("/api/hosts").json()["items"]]
        channels = [channel["name"] for channel in client.get("/api/notifications").json()["items"]]
        alerts = [alert["status"] for alert in client.get("/api/alerts?status=all").json()["items"]]
        healthy = client.get("/healthz").status_code == 200
    print(f"\nafter the restore: hosts {hosts}, channels {channels}, alerts {alerts}, healthy: {healthy}")
    return healthy and hosts == ["my-first-host"] and channels == ["phone"] and alerts == ["resolved"]


async def run() -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with open_sink() as sink:
            walk, well = await follow(Path(folder), sink)
    print()
    ends = [at for _, at in walk.steps[1:]] + [walk.now()]
    for (title, at), end in zip(walk.steps, ends, strict=True):
        print(f"{title:<40} {end - at:6.1f} s")
    for title, at in walk.told:
        print(f"notification after {at:5.1f} s: {title}")
    raised = [title for title, _ in walk.told if "backup_failed" in title and "resolved" not in title]
    resolved = [title for title, _ in walk.told if "backup_failed" in title and "resolved" in title]
    print(f"raise and resolution delivered: {len(raised)} and {len(resolved)}; all there after the restore: {well}")
    return 0 if well and len(raised) == 1 and len(resolved) == 1 else 1


if __name__ == "__main__":
    sys.exit(trio.run(run))
