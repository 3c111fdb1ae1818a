"""The secret box and its key file."""

import base64
import os
import stat
import threading
from pathlib import Path

import pytest

from rmactors.server.config.secrets import KEY_BYTES, SecretBox, SecretError, key_id, key_id_of, read_keys, write_keys

WHERE = "notification-channel:01K9XZ3V8T5WQ1R7M2N4P6S8CC"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret.key"


def test_what_is_sealed_opens_again(path: Path) -> None:
    box = SecretBox.load_or_create(path)
    assert box.open(box.seal(b"hunter2", WHERE), WHERE) == b"hunter2"
    assert box.open(box.seal(b"", WHERE.encode()), WHERE) == b"", "text or bytes name the same place"


def test_the_same_secret_never_looks_the_same(path: Path) -> None:
    box = SecretBox.load_or_create(path)
    assert box.seal(b"hunter2", WHERE) != box.seal(b"hunter2", WHERE)


def test_the_key_id_stands_in_front(path: Path) -> None:
    box = SecretBox.load_or_create(path)
    [raw] = read_keys(path)
    assert key_id_of(box.seal(b"x", WHERE)) == key_id(raw) == box.current_key_id


def test_a_second_box_of_the_same_file_opens_it(path: Path) -> None:
    sealed = SecretBox.load_or_create(path).seal(b"hunter2", WHERE)
    assert SecretBox.load_or_create(path).open(sealed, WHERE) == b"hunter2"


def test_moved_to_another_row_it_does_not_open(path: Path) -> None:
    box = SecretBox.load_or_create(path)
    with pytest.raises(SecretError, match="was changed or belongs to another row"):
        box.open(box.seal(b"hunter2", WHERE), "notification-channel:another")


@pytest.mark.parametrize("place", [8, 12, 20, 30, -1])
def test_a_flipped_bit_is_noticed(place: int, path: Path) -> None:
    box = SecretBox.load_or_create(path)
    sealed = bytearray(box.seal(b"a longer secret", WHERE))
    sealed[place] ^= 1
    with pytest.raises(SecretError, match="was changed"):
        box.open(bytes(sealed), WHERE)


@pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 35])
def test_what_is_too_short_is_damaged(sealed: bytes, path: Path) -> None:
    with pytest.raises(SecretError, match="too short"):
        SecretBox.load_or_create(path).open(sealed, WHERE)


def test_another_key_is_named_as_what_is_wrong(path: Path, tmp_path: Path) -> None:
    sealed = SecretBox.load_or_create(tmp_path / "other.key").seal(b"hunter2", WHERE)
    with pytest.raises(SecretError, match=r"sealed under the key [0-9a-f]{16}, which is not in .*secret\.key"):
        SecretBox.load_or_create(path).open(sealed, WHERE)


def test_nothing_secret_is_in_a_repr_or_an_error(path: Path) -> None:
    box = SecretBox.load_or_create(path)
    [raw] = read_keys(path)
    told = repr(box) + repr(vars(box)) + str(box)
    with pytest.raises(SecretError) as caught:
        box.open(box.seal(b"hunter2", WHERE), "elsewhere")
    told += repr(caught.value)
    for secret in (raw.hex(), base64.b64encode(raw).decode(), repr(raw), "hunter2"):
        assert secret not in told


class TestKeyFile:
    def test_is_made_with_256_bits_for_its_owner_alone(self, path: Path) -> None:
        before = os.umask(0)
        try:
            SecretBox.load_or_create(path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        [raw] = read_keys(path)
        assert len(raw) == 32

    def test_is_made_with_its_folder(self, tmp_path: Path) -> None:
        SecretBox.load_or_create(tmp_path / "new" / "data" / "secret.key")
        assert (tmp_path / "new" / "data" / "secret.key").exists()

    def test_is_made_once_by_many_that_start_together(self, path: Path) -> None:
        ids: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: ids.append(SecretBox.load_or_create(path).current_key_id))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 16
        assert len(set(ids)) == 1

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666, 0o620])
    def test_that_others_may_use_is_refused_with_what_to_do(self, mode: int, path: Path) -> None:
        SecretBox.load_or_create(path)
        path.chmod(mode)
        with pytest.raises(SecretError, match=rf"mode 0{mode:o}\): run `chmod 600 .*secret\.key`"):
            SecretBox.load_or_create(path)

    def test_may_be_read_only(self, path: Path) -> None:
        SecretBox.load_or_create(path)
        path.chmod(0o400)
        assert SecretBox.load_or_create(path).open(SecretBox(path).seal(b"x", WHERE), WHERE) == b"x"

    @pytest.mark.parametrize("content", [b"", b"\n", b"not base64!", b"c2hvcnQ=\n", b"\0" * 31, b"\xff" * 100])
    def test_of_other_content_is_refused(self, content: bytes, path: Path) -> None:
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(SecretError, match="is not a key file"):
            SecretBox.load_or_create(path)

    def test_that_is_a_folder_is_refused(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(SecretError, match="cannot be read"):
            SecretBox.load_or_create(path)

    def test_may_be_32_raw_bytes_or_a_line_that_somebody_made(self, path: Path, tmp_path: Path) -> None:
        raw = os.urandom(KEY_BYTES)
        path.write_bytes(raw)
        path.chmod(0o600)
        line = tmp_path / "line.key"
        line.write_text(f"# mine\n\n  {base64.b64encode(raw).decode()}  \n")
        line.chmod(0o600)
        assert SecretBox(line).open(SecretBox(path).seal(b"x", WHERE), WHERE) == b"x"

    def test_that_cannot_be_made_is_a_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SecretError, match="cannot be made"):
            SecretBox.load_or_create(tmp_path / "file" / "secret.key")

    def test_written_again_leaves_nothing_else_behind(self, path: Path) -> None:
        write_keys(path, [os.urandom(32)])
        write_keys(path, [os.urandom(32), os.urandom(32)])
        assert [one.name for one in path.parent.iterdir()] == ["secret.key"]
        assert len(read_keys(path)) == 2


class TestRunningBox:
    """A box in a running server, while the file changes below it."""

    def test_seals_under_a_new_key_at_once(self, path: Path) -> None:
        box = SecretBox.load_or_create(path)
        before = box.seal(b"x", WHERE)
        old, new = read_keys(path)[0], os.urandom(32)
        write_keys(path, [new, old])
        after = box.seal(b"x", WHERE)
        assert (key_id_of(before), key_id_of(after)) == (key_id(old), key_id(new))
        assert box.open(before, WHERE) == box.open(after, WHERE) == b"x"

    def test_opens_what_another_process_sealed_under_a_new_key(self, path: Path) -> None:
        box = SecretBox.load_or_create(path)
        write_keys(path, [os.urandom(32), *read_keys(path)])
        sealed = SecretBox(path).seal(b"x", WHERE)
        assert box.open(sealed, WHERE) == b"x"

    def test_still_opens_what_it_read_before_the_old_key_left_the_file(self, path: Path) -> None:
        box = SecretBox.load_or_create(path)
        sealed = box.seal(b"x", WHERE)
        write_keys(path, [os.urandom(32)])
        box.seal(b"y", WHERE)
        assert box.open(sealed, WHERE) == b"x"
        with pytest.raises(SecretError, match="which is not in"):
            SecretBox(path).open(sealed, WHERE)

    def test_does_not_seal_under_a_key_that_is_nowhere_on_disk(self, path: Path) -> None:
        box = SecretBox.load_or_create(path)
        sealed = box.seal(b"x", WHERE)
        path.unlink()
        with pytest.raises(SecretError, match=r"secret\.key cannot be read: No such file"):
            box.seal(b"y", WHERE)
        assert box.open(sealed, WHERE) == b"x", "what is known still opens"


# ---- keys for another purpose


def test_keys_for_other_purposes_follow_from_the_file_and_differ_from_each_other(path: Path) -> None:
    box = SecretBox.load_or_create(path)
    [links], [other] = box.derived("action links"), box.derived("something else")
    assert len(links) == KEY_BYTES
    assert len({links, other, read_keys(path)[0]}) == 3
    assert SecretBox(path).derived("action links") == (links,)


def test_while_a_rotation_is_at_work_both_keys_count_and_afterwards_the_new_one_alone(path: Path) -> None:
    box = SecretBox.load_or_create(path)
    [old] = box.derived("action links")
    raw, new = read_keys(path)[0], os.urandom(KEY_BYTES)
    write_keys(path, [new, raw])
    assert box.derived("action links")[1:] == (old,)
    write_keys(path, [new])
    [left] = box.derived("action links")
    assert left != old, "the box still opens what was sealed under it, but nothing that it signed counts"
