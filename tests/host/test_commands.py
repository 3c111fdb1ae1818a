"""What an agent is sent of jobs, each thing once a connection."""

from rmactors.common.wire import CancelJob, RunJob
from rmactors.server.actors.host.commands import SentCommands
from rmactors.server.state.host import PendingCommand


def command(job_id: str = "A", *, queued: bool = True, cancel: bool = False) -> PendingCommand:
    return PendingCommand(job_id, "backup", None, {"plan": "home"}, queued, cancel)


def test_a_queued_job_is_sent_once() -> None:
    sent = SentCommands()
    assert sent.undelivered([command()], set()) == [RunJob("A", "backup", None, {"plan": "home"})]
    assert sent.undelivered([command()], set()) == []


def test_a_new_connection_is_sent_it_again() -> None:
    assert SentCommands().undelivered([command()], set()) == SentCommands().undelivered([command()], set()) != []


def test_a_running_job_that_is_to_end_is_cancelled_once() -> None:
    sent = SentCommands()
    wanted = [command(queued=False, cancel=True)]
    assert sent.undelivered(wanted, {"A"}) == [CancelJob("A")]
    assert sent.undelivered(wanted, {"A"}) == []


def test_a_job_that_was_sent_and_cancelled_before_it_began_is_cancelled_at_the_agent_as_well() -> None:
    sent = SentCommands()
    sent.undelivered([command()], set())
    assert sent.undelivered([], set()) == [CancelJob("A")]
    assert sent.undelivered([], set()) == []


def test_a_job_that_was_sent_and_has_begun_is_left_alone() -> None:
    sent = SentCommands()
    sent.undelivered([command()], set())
    assert sent.undelivered([], {"A"}) == []


def test_a_job_that_has_ended_is_forgotten() -> None:
    sent = SentCommands()
    sent.undelivered([command()], set())
    sent.forget("A")
    assert sent.undelivered([], set()) == []
