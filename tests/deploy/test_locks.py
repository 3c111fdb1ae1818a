"""What the image and hosts install is named by its digest, and the names are those that `pyproject.toml` asks for."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from harness.processes import ROOT
from harness.tools import DEPLOY

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
AGENT: list[str] = PROJECT["project"]["dependencies"]
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
SERVER = EXTRAS["server"] + EXTRAS["postgresql"]
WANTED = {"agent": AGENT, "server": AGENT + SERVER, "build": [*PROJECT["build-system"]["requires"], "setuptools"]}
PYTHONS = [
    {"python_version": number, "python_full_version": f"{number}.9", "sys_platform": "linux", "os_name": "posix",
     "platform_machine": machine, "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    for number in ("3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
]  # fmt: skip
ENTRY = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>[a-z0-9.]+)(?: ; (?P<marker>[^\\\n]+?))?(?P<hashes>(?: \\\n    --hash=\S+)+)"
)
DIGEST = r"@sha256:[0-9a-f]{64}"


class Locked(NamedTuple):
    name: str
    version: Version
    marker: Marker | None
    hashes: list[str]


def text(lock: str) -> str:
    return "".join(
        line for line in (DEPLOY / "locks" / f"{lock}.txt").read_text().splitlines(True) if not line.startswith("#")
    )


def entries(lock: str) -> list[Locked]:
    found = [
        Locked(
            match["name"], Version(match["version"]), Marker(match["marker"]) if match["marker"] else None,
            re.findall(r"--hash=(\S+)", match["hashes"]),
        )
        for match in ENTRY.finditer(text(lock))
    ]  # fmt: skip
    assert "".join(match[0] + "\n" for match in ENTRY.finditer(text(lock))) == text(lock), "nothing else stands there"
    return found


def installed(lock: str, python: dict[str, str]) -> dict[str, Version]:
    """Which version of each package that Python gets."""
    there = [entry for entry in entries(lock) if entry.marker is None or entry.marker.evaluate(python)]
    assert len({entry.name for entry in there}) == len(there), "one version of each"
    return {entry.name: entry.version for entry in there}


@pytest.mark.parametrize("lock", WANTED)
def test_every_package_has_digests_and_comes_from_wherever_pip_looks(lock: str) -> None:
    assert len(entries(lock)) > 8
    for entry in entries(lock):
        assert entry.hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in entry.hashes), entry
    assert "://" not in (DEPLOY / "locks" / f"{lock}.txt").read_text()


@pytest.mark.parametrize(
    "python", PYTHONS, ids=lambda python: f"{python['python_version']}-{python['platform_machine']}"
)
@pytest.mark.parametrize("lock", WANTED)
def test_what_pyproject_asks_for_is_locked_at_a_version_that_it_takes(lock: str, python: dict[str, str]) -> None:
    there = installed(lock, python)
    for requirement in map(Requirement, WANTED[lock]):
        assert requirement.specifier.contains(there[canonicalize_name(requirement.name)]), f"{requirement}: make lock"


@pytest.mark.parametrize("lock", ["agent", "server"])
def test_what_those_packages_need_is_locked_too(lock: str) -> None:
    """As those say that are installed here in the version that is locked; the image asks `pip check` of all."""
    locked = {entry.name: {entry.version} for entry in entries(lock)}
    for entry in entries(lock):
        locked[entry.name].add(entry.version)
    waiting, seen = [Requirement(line) for line in WANTED[lock]], set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        assert name in locked, f"{name}: make lock"
        try:
            needs = [Requirement(line) for line in requires(name) or ()]
            if Version(version(name)) not in locked[name]:
                continue
        except PackageNotFoundError:
            continue
        waiting += [
            need
            for need in needs
            if need.marker is None
            or any(need.marker.evaluate({"extra": extra}) for extra in requirement.extras or {""})
        ]
    assert len(seen) > len(WANTED[lock])


def test_an_agent_and_a_server_of_one_release_have_the_same_versions() -> None:
    for python in PYTHONS:
        agent, server = installed("agent", python), installed("server", python)
        assert agent.items() <= server.items()


def test_the_image_takes_nothing_without_a_digest() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    froms = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert len(froms) == 2
    assert len(set(froms)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm" + DIGEST, froms[0])
    pips = re.findall(r"pip (?:install|wheel)[^&\n]*", dockerfile)
    assert len(pips) == 4
    assert [pip for pip in pips if ("--require-hashes" in pip) == ("--no-index" in pip) or "--no-deps" not in pip] == []
    assert "# syntax" not in dockerfile, "a frontend would be fetched by its tag"


def test_the_proxy_beside_it_is_named_by_its_digest() -> None:
    images = re.findall(r"^    image: (\S+)", (DEPLOY / "compose.yml").read_text(), re.MULTILINE)
    assert [
        image for image in images if image != "rmactors" and not re.fullmatch(r"\w+:\d+\.\d+\.\d+" + DIGEST, image)
    ] == []
    assert len(images) == 2
