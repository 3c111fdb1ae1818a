"""What the agent says of its machine."""

import os
from pathlib import Path

import pytest

from rmactors.agent import this_host
from rmactors.agent.this_host import Restic, look_at_restic


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_restic_that_can_be_used_has_no_problem(each_restic: str) -> None:
    found = look_at_restic(each_restic)
    assert found.problem is None
    assert found.version is not None


def test_a_restic_that_is_not_there(tmp_path: Path) -> None:
    assert look_at_restic("no-such-restic") == Restic(None, "no-such-restic: command not found")
    assert look_at_restic(f"{tmp_path}/restic") == Restic(None, f"{tmp_path}/restic: command not found")


def test_a_restic_that_may_not_be_run(tmp_path: Path) -> None:
    (tmp_path / "restic").touch(mode=0o644)
    assert look_at_restic(f"{tmp_path}/restic") == Restic(None, f"{tmp_path}/restic: permission denied")


def test_a_restic_for_another_machine(tmp_path: Path) -> None:
    (tmp_path / "restic").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    (tmp_path / "restic").chmod(0o755)
    assert look_at_restic(f"{tmp_path}/restic") == Restic(None, f"{tmp_path}/restic: exec format error")


@pytest.mark.parametrize(
    ("says", "version", "problem"),
    [
        ("restic 0.14.0 compiled with go1.19 on linux/amd64", "0.14.0", None),
        ("restic 0.19.1-dev (v0.19.1-3-gabc) compiled with go1.26", "0.19.1-dev", None),
        ("restic 1.0.0 compiled with go1.30", "1.0.0", None),
        ("restic 0.11.0 compiled with go1.15.9", "0.11.0", "restic 0.11.0 is older than 0.14: not supported"),
        ("restic 0.9.6 (v0.9.6) compiled", "0.9.6", "restic 0.9.6 is older than 0.14: not supported"),
    ],
)
def test_what_restic_says_of_its_version(tmp_path: Path, says: str, version: str, problem: str | None) -> None:
    assert look_at_restic(program(tmp_path / "restic", f"echo '{says}'")) == Restic(version, problem)


def test_a_program_that_is_no_restic_is_quoted(tmp_path: Path) -> None:
    broken = program(tmp_path / "restic", "echo 'error while loading shared libraries: libc.so.6' >&2; exit 127")
    found = look_at_restic(broken)
    assert found.version is None
    assert found.problem == (
        f"`{broken} version` says no version (exit code 127: error while loading shared libraries: libc.so.6)"
    )
    assert look_at_restic("/bin/true").problem == "`/bin/true version` says no version (exit code 0)"


def test_a_restic_that_hangs_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_host, "VERSION_SECONDS", 0.1)
    os.mkfifo(tmp_path / "never")
    hangs = program(tmp_path / "restic", f"exec cat {tmp_path}/never")
    assert look_at_restic(hangs) == Restic(None, f"`{hangs} version` does not answer within 0 s")
