"""What can be tried of the image without building it: its health check, and what its files say of each other."""

import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from harness.certificates import make_authority
from harness.processes import ROOT, Server
from harness.tools import DEPLOY

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def check_health(server: Server) -> "subprocess.CompletedProcess[str]":
    """As the container would: by a Python that has nothing installed."""
    return subprocess.run(
        [sys.executable, "-I", "-S", DEPLOY / "healthcheck.py"], env=server.environment, capture_output=True, text=True,
        timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_health_check_says_what_the_server_says(tls: bool, tmp_path: Path) -> None:
    settings: dict[str, object] = {}
    if tls:
        make_authority(tmp_path)
        settings = {"tls_cert_file": tmp_path / "here.pem", "tls_key_file": tmp_path / "here.pem"}
    server = Server(tmp_path / "server", **settings)
    server.settings["listen"] = f"0.0.0.0:{server.port}"
    if tls:
        server.verify = make_authority(tmp_path).trusting()
    before = check_health(server)
    assert (before.returncode, "refused" in before.stdout) == (1, True)
    server.settings.pop("outbound_allow")
    try:
        server.start()
        well = check_health(server)
        assert (well.returncode, '"status":"ok"' in well.stdout) == (0, True), well
    finally:
        server.kill()
    assert check_health(server).returncode == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('{"status":"failing"}', 1),
        ('{"status":"standby","leader":"https://rm1"}', 0),
        ('{"status":"standby","leader":null,"detail":"the key file is missing"}', 1),
        ("Bad gateway", 1),
    ],
)
def test_a_node_that_waits_is_well_and_what_says_a_fault_is_not(said: str, code: int) -> None:
    class Failing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Failing) as failing:
        Thread(target=failing.handle_request).start()
        done = subprocess.run(
            [sys.executable, "-I", "-S", DEPLOY / "healthcheck.py"], capture_output=True, text=True, timeout=30,
            env={"RM_LISTEN": f"127.0.0.1:{failing.server_port}"},
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, f"{said}\n")


def test_everything_that_is_copied_is_there_and_let_into_the_build() -> None:
    let_in = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_container_runs_as_nobody_special_and_keeps_its_data_in_a_volume() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "\nUSER rmactors\n" in last
    assert "\nVOLUME /data\n" in last
    assert "RM_DATA_DIR=/data" in last
    assert last.index("USER rmactors") < last.index("ENTRYPOINT")
