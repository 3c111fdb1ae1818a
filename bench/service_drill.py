"""The service as systemd runs it: this machine's system is booted beside itself, and the unit tried in there.

    python -m bench.service_drill          (as root, with systemd-nspawn)

Nothing of the machine changes: the container's root is an overlay in memory over `/`. In it `rmactors server install`
writes and starts the unit; root works in the data dir while the service's own user runs; the server is stopped in its
tracks and has to be found by the watchdog. Exits 1 where one of these is not as it should be.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.install_guide import build_wheel
from harness.ports import free_port

TOOLS = Path(sys.prefix) / "tools" / "usr" / "bin"
COMMAND = "/opt/rmactors/bin/rmactors"
UNIT = "rmactors-server"
MARK = "::now "

# What runs as root inside, once the system is up. Each step's output is looked at afterwards.
INSIDE = f"""
exec > /drill/out 2>&1
step() {{ echo "{MARK}$1"; }}
show() {{ systemctl show {UNIT} "$@"; }}
await() {{ for _ in $(seq 300); do [ "$(show -p "$1" --value)" = "$2" ] && return; sleep 0.1; done; }}
step install
{COMMAND} server install --yes
show -p ActiveState
await StatusText 'all is well'
show -p Type -p StatusText -p User
step confined
grep -E '^(Uid|NoNewPrivs|Seccomp|CapEff):' /proc/$(show -p MainPID --value)/status
step root
{COMMAND} admin create-api-token --name drill --role viewer > /drill/token
{COMMAND} keys rotate
{COMMAND} backup --with-key /drill/backup
stat -c '%U %n' /var/lib/rmactors/*
step answers
/opt/rmactors/bin/python -c "import sys, urllib.request as u; print(u.urlopen(u.Request(sys.argv[1], headers={{
  'Authorization': 'Bearer ' + open('/drill/token').read().strip()}})).status)" "$1/api/hosts"
step stuck
mkdir -p /run/systemd/system/{UNIT}.service.d
printf '[Service]\\nWatchdogSec=4\\nTimeoutAbortSec=2\\n' > /run/systemd/system/{UNIT}.service.d/soon.conf
systemctl daemon-reload; systemctl restart {UNIT}; await StatusText 'all is well'
kill -STOP $(show -p MainPID --value)
await NRestarts 1; await ActiveState active
show -p NRestarts -p ActiveState
step stop
systemctl stop {UNIT}
show -p Result -p ExecMainStatus -p ActiveState
step uninstall
{COMMAND} server uninstall
ls /etc/systemd/system/{UNIT}.service /var/lib/rmactors/rm.db
step journal
journalctl -u {UNIT} --no-pager -o cat
step end
systemctl poweroff
"""


def expectations() -> dict[str, Callable[[str], bool]]:
    """What the output of each step must be like."""
    return {
        "install": lambda out: all(
            part in out for part in ("ActiveState=active", "Type=notify", "StatusText=all is well", "User=rmactors")
        ),
        "confined": lambda out: (
            "NoNewPrivs:\t1" in out and "Seccomp:\t2" in out and "CapEff:\t0000000000000000" in out
            and not re.search(r"^Uid:\t0\b", out, re.MULTILINE)
        ),
        "root": lambda out: "checked" in out and "root /" not in out and "rmactors /var/lib/rmactors/secret.key" in out,
        "answers": lambda out: out.strip() == "200",
        "stuck": lambda out: "NRestarts=1" in out and "ActiveState=active" in out,
        "stop": lambda out: "Result=success" in out and "ExecMainStatus=0" in out and "ActiveState=inactive" in out,
        "uninstall": lambda out: "No such file" in out and "/var/lib/rmactors/rm.db" in out,
        "journal": lambda out: "Watchdog timeout" in out and "Traceback" not in out,
    }  # fmt: skip


@contextmanager
def overlay() -> Iterator[Path]:
    """A root of its own over this machine's, whose changes are in memory and gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("mount", "-t", "tmpfs", "tmpfs", str(folder))
        try:
            for part in ("upper", "work", "root"):
                (folder / part).mkdir(mode=0o755)
            root = folder / "root"
            layers = f"lowerdir=/,upperdir={folder / 'upper'},workdir={folder / 'work'}"
            run("mount", "-t", "overlay", "overlay", "-o", layers, str(root))
            try:
                yield root
            finally:
                run("umount", str(root))
        finally:
            run("umount", str(folder))


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=300)


def contain(root: Path, *arguments: str) -> None:
    """Run something in the container, or boot it (`--boot`). The network is the machine's."""
    nspawn = shutil.which("systemd-nspawn") or str(TOOLS / "systemd-nspawn")
    passed = [f"--setenv={name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")]
    finds = [part for part in os.environ.get("PIP_FIND_LINKS", "").split() if Path(part).exists()]
    binds = [f"--bind-ro={part}" for part in finds]
    run(nspawn, "--quiet", "--register=no", "--keep-unit", "--directory", str(root), *binds, *passed, *arguments)


def prepare(root: Path) -> None:
    """The wheel of this checkout in a virtual environment that everybody can read, and the script as a service."""
    drill = root / "drill"
    drill.mkdir()
    build_wheel(drill)
    [wheel] = drill.glob("rmactors-*.whl")
    contain(root, "/usr/bin/python3", "-m", "venv", "/opt/rmactors")
    contain(root, "/opt/rmactors/bin/pip", "install", "--quiet", f"/drill/{wheel.name}[server]")
    pages, agents = free_port(), free_port()
    (root / "etc" / "rmactors").mkdir(exist_ok=True)
    (root / "etc/rmactors/rmactors.toml").write_text(
        f'data_dir = "/var/lib/rmactors"\nlisten = "127.0.0.1:{pages}"\nagent_listen = "127.0.0.1:{agents}"\n'
    )
    (root / "etc/rmactors/server.env").write_text("RM_WATCHDOG_URL=https://drill.invalid/\n")
    (root / "etc/rmactors/server.env").chmod(0o600)
    (drill / "inside.sh").write_text(INSIDE)
    units = root / "etc" / "systemd" / "system"
    start = f"ExecStart=/bin/bash /drill/inside.sh http://127.0.0.1:{pages}"
    (units / "drill.service").write_text(f"[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\n{start}\n")
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    for link, target in (
        (units / "multi-user.target.wants" / "drill.service", "/etc/systemd/system/drill.service"),
        (units / "default.target", "/lib/systemd/system/multi-user.target"),
    ):
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def main() -> int:
    if os.geteuid() != 0:
        print("only root can boot a container", file=sys.stderr)
        return 2
    with overlay() as root:
        prepare(root)
        contain(root, "--boot")
        told = (root / "drill" / "out").read_text()
    print(told)
    steps = {name: out for name, _, out in (part.partition("\n") for part in told.split(MARK)[1:])}
    wrong = [name for name, holds in expectations().items() if not holds(steps.get(name, ""))]
    print(f"not as it should be: {', '.join(wrong)}" if wrong else "all as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
