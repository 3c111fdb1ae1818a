"""Root works on the data dir of a service that runs as another user."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from rmactors.cli.main import main

NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_in_a_services_data_dir_belongs_to_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, NOBODY, NOBODY)
    monkeypatch.setenv("RM_DATA_DIR", str(data_dir))
    for arguments in (
        ["admin", "create-api-token", "--name", "a", "--role", "viewer"],
        ["keys", "rotate"],
        ["keys", "rotate"],
        ["backup", str(tmp_path / "backup"), "--with-key"],
        ["restore", str(tmp_path / "backup"), "--replace"],
    ):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
    made = {path.name: path.stat().st_uid for path in data_dir.iterdir()}
    assert {"rm.db", "secret.key"} <= made.keys()
    assert set(made.values()) == {NOBODY}, made
