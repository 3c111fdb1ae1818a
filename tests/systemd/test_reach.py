"""Whether the user of a service can get to what is to be run."""

import tempfile
from pathlib import Path

from rmactors.cli import units


def test_a_closed_directory_on_the_way_is_named_also_behind_a_link(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:  # pytest closes what it makes
        if Path(tempfile.gettempdir()) in folder.parents:
            folder.chmod(0o755)
    closed, open_ = tmp_path / "closed", tmp_path / "open"
    for folder, mode in ((closed, 0o700), (open_, 0o755)):
        folder.mkdir()
        (folder / "rmactors").touch()
        folder.chmod(mode)
    (open_ / "link").symlink_to(closed / "rmactors")
    assert units.out_of_reach(open_ / "rmactors") is None
    assert units.out_of_reach(closed / "rmactors") == closed
    assert units.out_of_reach(open_ / "rmactors", open_ / "link") == closed
