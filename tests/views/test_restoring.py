"""Restoring from a page: what may be in the way, where it goes, what would come of it."""

import pytest

from rmactors.server.web.live_items import Preview
from rmactors.server.web.views import restoring

A = "a" * 64


def form(allow: list[str] | None, targets: list[str] | None, target: str = "") -> restoring.RestoreForm:
    return restoring.form(A, ["/home/a\nb"], str.upper, allow, targets, target, "home-1")


def test_what_was_chosen_is_shown_and_sent_sealed() -> None:
    (chosen,) = form(["restore"], ["/srv/restore"]).chosen
    assert (chosen.said, chosen.value) == (r"/home/a\nb", "/HOME/A\nB")


def test_a_host_that_allows_restores_and_names_a_folder_has_no_obstacles() -> None:
    found = form(["backup", "restore"], ["/srv/restore", "/tmp/r"])
    assert found.obstacles == ()
    assert found.target == "/srv/restore"
    assert form(["restore"], ["/srv/restore", "/tmp/r"], "/tmp/r").target == "/tmp/r"


def test_a_host_that_does_not_says_which_lines_are_missing() -> None:
    found = form(["backup"], [])
    assert [each.line for each in found.obstacles] == [
        'allow = ["backup", "restore"]', 'restore_targets = ["/srv/restore"]',
    ]  # fmt: skip
    assert found.target == ""


def test_an_agent_that_does_not_tell_is_only_known_to_name_no_folder() -> None:
    assert [each.line for each in form(None, None).obstacles] == ['restore_targets = ["/srv/restore"]']


@pytest.mark.parametrize(
    ("plan", "folder"),
    [("home", "home-aaaaaaaa"), ("a b/c", "a-b-c-aaaaaaaa"), ("..", "restored-aaaaaaaa"), ("ü", "restored-aaaaaaaa")],
)
def test_the_usual_folder_is_named_after_plan_and_snapshot(plan: str, folder: str) -> None:
    assert restoring.usual_folder(plan, A) == folder
    assert restoring.folder_problem(folder) == ""


@pytest.mark.parametrize("folder", ["", "a", "a/b", "a b", "-x", "..a"])
def test_a_new_folder_may_have_a_plain_name(folder: str) -> None:
    assert restoring.folder_problem(folder) == ""


@pytest.mark.parametrize("folder", ["/", "/etc", "..", "a/../..", "a//b", "a/", ".", "a\nb", "x" * 256, "ü" * 128])
def test_a_new_folder_is_no_way_out(folder: str) -> None:
    assert restoring.folder_problem(folder) != ""


def test_where_it_goes() -> None:
    assert restoring.target_path("/srv/restore/", "home-1") == "/srv/restore/home-1"
    assert restoring.target_path("/srv/restore", "") == "/srv/restore"


def test_a_preview_says_how_much_and_where() -> None:
    view = restoring.outlook(Preview(A, 1234, 5_600_000_000, "/srv/restore/x", 80_000_000_000), "/srv/restore")
    assert view.facts == (
        ("Files", "1,234"), ("Size", "5.6 GB"), ("Into", "/srv/restore/x"), ("Free there", "80.0 GB"),
    )  # fmt: skip
    assert (view.unknown, view.trouble, view.possible, view.button) == ("", "", True, "Restore 1,234 files")


def test_a_folder_that_the_job_will_name_is_said_in_words() -> None:
    view = restoring.outlook(Preview(A, 1, 1, "/srv/restore/x/<job id>", None), "/srv/restore/x")
    assert dict(view.facts)["Into"] == "a new folder in /srv/restore/x, named by the job's id"


def test_a_preview_that_knows_nothing_says_so() -> None:
    view = restoring.outlook(Preview(A, None, None, None, None), "/srv/restore")
    assert view.facts == (("Into", "/srv/restore"),)
    assert view.unknown == "The restic of this host cannot tell how much it would restore."
    assert (view.possible, view.button) == (True, "Restore without knowing how much")


def test_a_restore_of_nothing_cannot_be_started() -> None:
    view = restoring.outlook(Preview(A, 0, 0, None, None), "/srv/restore")
    assert not view.possible
    assert view.trouble.startswith("Nothing would be restored")


def test_a_restore_that_is_larger_than_the_room_for_it_says_so() -> None:
    view = restoring.outlook(Preview(A, 2, 100, "/srv", 99), "/srv")
    assert view.possible
    assert view.trouble.startswith("This is more than there is room for")
    assert restoring.outlook(Preview(A, 2, 100, "/srv", 100), "/srv").trouble == ""


def test_where_the_agent_cannot_tell_the_reason_is_given() -> None:
    view = restoring.blind("nas1 is slow.", "/srv/restore/x")
    assert (view.facts, view.unknown, view.possible) == ((("Into", "/srv/restore/x"),), "nas1 is slow.", True)
