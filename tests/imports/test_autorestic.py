"""autorestic's file. Written after its documentation: neither Debian nor PyPI has it."""

from typing import Any

from rmactors.agent.imports import autorestic, formats
from rmactors.agent.imports.found import When, Wrapper

FILE = """
version: 2
locations:
  home: {from: /home, to: [remote], cron: "0 3 * * 0"}
  my etc: {from: /etc, to: remote, cron: " @daily "}
  by hand: {from: /x, to: remote}
  odd: [1]
  number: {cron: 3}
backends:
  remote: {type: s3, path: s3.example.org/bucket}
"""


def test_each_location_with_a_cron_gets_a_line_of_its_own() -> None:
    settings: Any = formats.read(FILE, ".yml")
    home, etc = autorestic.found_in(settings, "/root/.autorestic.yml", "Asia/Tokyo", Wrapper(("/rm",)))
    assert (home.name, home.kind) == ("home", "backup")
    assert home.when == When(cron="0 3 * * 0", timezone="Asia/Tokyo", grace_seconds=600)
    assert home.line == (
        "0 3 * * 0 /rm agent exec --kind backup --schedule home --"
        " autorestic -c /root/.autorestic.yml --ci backup -l home"
    )
    assert etc.when.cron == "@daily"
    assert "--schedule 'my etc' -- autorestic" in etc.line
    assert "-l 'my etc'" in etc.line
    assert etc.job == "autorestic my etc"


def test_a_file_without_locations_has_nothing() -> None:
    assert list(autorestic.found_in({"locations": 1}, "x", "UTC", Wrapper())) == []
