"""What an agent is told of jobs, each thing once a connection."""

from rmactors.common.wire import CancelJob, RunJob
from rmactors.server.actors.host.commands import Errands
from rmactors.server.state.host import PendingCommand


def errand(job_id: str = "A", *, queued: bool = True, cancel: bool = False) -> PendingCommand:
    return PendingCommand(job_id, "backup", None, {"plan": "home"}, queued, cancel)


def test_a_queued_job_is_told_once() -> None:
    told = Errands()
    assert told.untold([errand()], set()) == [RunJob("A", "backup", None, {"plan": "home"})]
    assert told.untold([errand()], set()) == []


def test_a_new_connection_is_told_again() -> None:
    assert Errands().untold([errand()], set()) == Errands().untold([errand()], set()) != []


def test_a_running_job_that_is_to_end_is_cancelled_once() -> None:
    told = Errands()
    wanted = [errand(queued=False, cancel=True)]
    assert told.untold(wanted, {"A"}) == [CancelJob("A")]
    assert told.untold(wanted, {"A"}) == []


def test_a_job_that_was_told_and_cancelled_before_it_began_is_cancelled_at_the_agent_as_well() -> None:
    told = Errands()
    told.untold([errand()], set())
    assert told.untold([], set()) == [CancelJob("A")]
    assert told.untold([], set()) == []


def test_a_job_that_was_told_and_has_begun_is_left_alone() -> None:
    told = Errands()
    told.untold([errand()], set())
    assert told.untold([], {"A"}) == []


def test_a_job_that_has_ended_is_forgotten() -> None:
    told = Errands()
    told.untold([errand()], set())
    told.forget("A")
    assert told.untold([], set()) == []
