"""The server as a process: garbage on its ports, its clean end, a second one beside it, an installed wheel."""

import contextlib
import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trio

from harness.agents import ended, enroll_host, simulated
from harness.processes import COMMAND, ROOT, STOP_SECONDS, Server, ServerDied, away, environment, eventually

HALF_UPGRADE = b"GET /ws/agent HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
UPGRADE = HALF_UPGRADE + (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")

GARBAGE = {
    "nothing at all": b"",
    "binary noise": random.Random(1).randbytes(4096),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.Random(2).randbytes(500),
    "half a request": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-",
    "a line without an end": b"GET /" + b"a" * 200_000,
    "endless headers": b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)),
    "header bytes that are no text": b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nCookie: \x00\r\n\r\n",
    "a false length": b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabc",
    "two lengths": b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "broken chunks": b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "a stray byte after an upgrade": UPGRADE + b"\r\n\xff",
    "an upgrade and then noise": UPGRADE + b"\r\n" + random.Random(3).randbytes(2000),
    "an upgrade without its key": HALF_UPGRADE + b"\r\n\x81",
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 64,
    "h2c": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: !!\r\n\r\n\x01",
    "another verb": b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
    "an absolute address": b"GET http://[::1 HTTP/1.1\r\nHost: [\r\n\r\n",
    "a path of odd bytes": b"GET /%ff%00/..%c0%af HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def poke(port: int, data: bytes) -> None:
    """Send it, read a little of what comes, and go away rudely."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        with trio.move_on_after(0.3):
            try:
                await stream.send_all(data)
                while await stream.receive_some(65536):
                    pass
            except trio.BrokenResourceError:
                pass  # cut off already: that is an answer too


async def test_no_garbage_on_either_port_ends_the_process_or_disturbs_an_agent(shared_server: Server) -> None:
    credential = await enroll_host(shared_server, "bystander")
    async with simulated(shared_server, credential) as [agent]:
        agent.report(ended("home", "succeeded"))
        async with trio.open_nursery() as nursery:
            for data in GARBAGE.values():
                for port in (shared_server.port, shared_server.agent_port):
                    nursery.start_soon(poke, port, data)
        shared_server.must_live()
        async with shared_server.client() as client:
            assert (await client.get("/healthz")).json()["checks"] == {"store": "ok", "rules": "ok", "delivery": "ok"}
        agent.report(ended("home", "succeeded"))
        with trio.fail_after(30):
            await agent.settled()
        assert agent.connections == 1
    assert "Traceback" not in shared_server.log, shared_server.log[-4000:]


async def test_a_hundred_connections_that_say_nothing_do_not_keep_an_agent_out(shared_server: Server) -> None:
    streams = [await trio.open_tcp_stream("127.0.0.1", shared_server.agent_port) for _ in range(100)]
    credential = await enroll_host(shared_server, "late-comer")
    async with simulated(shared_server, credential) as [agent]:
        agent.report(ended("home", "succeeded"))
        with trio.fail_after(30):
            await agent.settled()
    for stream in streams:
        await stream.aclose()
    shared_server.must_live()


async def test_sigterm_is_obeyed_with_agents_and_a_browser_connected(server: Server) -> None:
    credentials = [await enroll_host(server, f"host-{n}") for n in range(5)]
    async with simulated(server, *credentials) as agents, server.client() as client:
        for agent in agents:
            agent.report(ended("home"))
        with trio.fail_after(30):
            for agent in agents:
                await agent.settled()
        stalled = await trio.open_tcp_stream("127.0.0.1", server.port)  # asks, and never reads the answer
        await stalled.send_all(f"GET /login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        async with client.stream("GET", "/events") as events:
            assert events.status_code == 200
            assert events.headers["content-type"].startswith("text/event-stream")
            code, took = await away(server.stop)
        await stalled.aclose()
    assert code == 0, server.log[-4000:]
    assert took < STOP_SECONDS
    assert "Traceback" not in server.log, server.log[-4000:]


async def test_events_name_what_changed(shared_server: Server) -> None:
    credential = await enroll_host(shared_server, "talker")
    browser = await trio.open_tcp_stream("127.0.0.1", shared_server.port)
    head = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{shared_server.port}\r\n"
    request = f"{head}Authorization: Bearer {shared_server.token}\r\n\r\n"
    heard = b""
    async with simulated(shared_server, credential) as [agent], browser:
        with trio.fail_after(30):
            await browser.send_all(request.encode())
            while b"text/event-stream" not in heard:
                heard += await browser.receive_some(4096)
            agent.report(ended("home"))
            while b"alerts" not in heard:
                chunk = await browser.receive_some(4096)
                assert chunk, heard
                heard += chunk
    assert heard.startswith(b"HTTP/1.1 200")


def test_the_first_answer_of_a_server_that_just_started_says_that_all_is_well(server: Server) -> None:
    server.stop()
    server.spawn()
    answers: list[httpx.Response] = []

    def answered() -> bool:
        with contextlib.suppress(httpx.TransportError):
            answers.append(httpx.get(f"{server.url}/healthz", trust_env=False))
        return bool(answers)

    eventually(answered, 60, lambda: server.log, pause=0.005)
    assert answers[0].json()["checks"] == {"store": "ok", "rules": "ok", "delivery": "ok"}


def test_a_second_server_on_the_same_data_dir_refuses_and_says_why(shared_server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "second", data_dir=shared_server.data_dir)
    with pytest.raises(ServerDied) as death:
        second.start()
    assert second.process is not None
    assert second.process.returncode not in (0, None)
    assert str(shared_server.data_dir) in str(death.value)
    assert "Traceback" not in str(death.value)
    shared_server.must_live()


def test_a_port_that_is_taken_is_said_in_one_line(shared_server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "second", listen=f"127.0.0.1:{shared_server.port}")
    with pytest.raises(ServerDied) as death:
        second.start()
    assert str(shared_server.port) in str(death.value)
    assert "Traceback" not in str(death.value)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that holds the project's wheel and nothing of the checkout.

    Third-party packages are those of the running Python, reached by a path file: what is tried is the wheel.
    """
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    can_build_here = importlib.util.find_spec("hatchling") and importlib.util.find_spec("django_htmx")
    isolation = ["--no-build-isolation"] if can_build_here else []
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", *isolation, "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("rmactors-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True, timeout=60)
    python = folder / "venv" / "bin" / "python"
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", str(packages), str(wheel)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "third-party.pth").write_text("\n".join(theirs))
    return python


def test_an_installed_wheel_migrates_and_serves_pages(installed: Path, tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    server.folder.mkdir()
    where = subprocess.run(
        [installed, "-c", "import rmactors; print(rmactors.__file__)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert where.stdout.startswith(str(installed.parents[1])), f"not the wheel: {where.stdout}{where.stderr}"
    with server.log_file.open("wb") as log:
        process = subprocess.Popen(
            [installed, "-m", "rmactors", "server"],
            cwd=tmp_path,
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:

        def serves() -> bool:
            assert process.poll() is None, server.log
            try:
                return httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        eventually(serves, 60, lambda: server.log)
        page = httpx.get(f"{server.url}/login", trust_env=False, follow_redirects=True)
        assert page.status_code == 200
        assert "restic-manager" in page.text
        assert "<form" in page.text
        assert (server.data_dir / "rm.db").exists()
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_the_wheel_holds_everything_that_is_not_python(installed: Path) -> None:
    [packages] = (installed.parents[1] / "lib").glob("python*/site-packages")
    files = packages / "rmactors" / "_files"
    assert list((files / "schema").glob("0001_*.sql"))
    assert list((files / "web" / "templates").rglob("*.html"))
    assert list((files / "web" / "static").rglob("*.css"))
    assert list((files / "web" / "static").rglob("htmx*.js"))


def test_a_command_that_lacks_the_servers_parts_says_which(tmp_path: Path) -> None:
    """`agent --help` must not import what only `[server]` installs."""
    script = (
        "import sys\n"
        "for name in ('quart', 'hypercorn', 'httpx', 'jinja2', 'cryptography', 'argon2'): sys.modules[name] = None\n"
        "from rmactors.cli.main import main\n"
        "main()\n"
    )
    for arguments in (["agent", "--help"], ["simulate", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=ROOT, env=environment({}), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-c", script, "server", "--help"],
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "rmactors[server]" in done.stderr


def test_an_unusable_setting_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "server"],
        cwd=ROOT,
        env=environment({"RM_DATA_DIR": str(tmp_path / "data"), "RM_TICK_SECONDS": "soon"}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode not in (0, None)
    assert "RM_TICK_SECONDS" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
