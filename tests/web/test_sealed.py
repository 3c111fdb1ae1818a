"""Names of files stand in URLs only sealed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.config.secrets import KEY_BYTES, SecretBox, read_keys, write_keys
from rmactors.server.web.sealed import Sealed


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> SecretBox:
    return SecretBox.load_or_create(tmp_path_factory.mktemp("keys") / "secret.key")


@given(text=st.text())
def test_what_is_sealed_opens_to_the_same_text_and_fits_into_a_url(box: SecretBox, text: str) -> None:
    sealed = Sealed(box, "HOST")
    made = sealed.seal(text)
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert sealed.open(made) == text


def test_the_name_cannot_be_read_and_is_the_same_each_time(box: SecretBox) -> None:
    made = Sealed(box, "HOST").seal("/home/secret-plans")
    assert "secret" not in made
    assert made == Sealed(box, "HOST").seal("/home/secret-plans")


def test_it_opens_for_its_own_host_alone(box: SecretBox) -> None:
    assert Sealed(box, "OTHER").open(Sealed(box, "HOST").seal("/home")) is None


@pytest.mark.parametrize("text", ["x", "/home", "A" * 40, "ü", "====", "a b"])
def test_what_was_not_sealed_here_does_not_open(box: SecretBox, text: str) -> None:
    assert Sealed(box, "HOST").open(text) is None


def test_after_a_new_key_is_in_the_file_what_the_old_one_sealed_still_opens(tmp_path: Path) -> None:
    box = SecretBox.load_or_create(tmp_path / "secret.key")
    made = Sealed(box, "HOST").seal("/home")
    write_keys(box.path, [b"n" * KEY_BYTES, *read_keys(box.path)])
    assert Sealed(box, "HOST").open(made) == "/home"
    assert Sealed(box, "HOST").seal("/home") != made
