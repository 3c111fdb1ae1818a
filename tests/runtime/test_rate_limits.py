"""How much one host may send: buckets, and how long its connections wait."""

from rmactors.server.runtime.rate_limits import FRAME_BYTES, FRAMES, HELLOS, LONGEST_WAIT, Bucket, Pace


def test_a_bucket_gives_what_is_in_it_and_then_as_much_as_comes_in() -> None:
    bucket = Bucket(2.0, 10.0)
    assert [bucket.take(1, 100.0) for _ in range(11)] == [True] * 10 + [False]
    assert not bucket.take(1, 100.4)
    assert bucket.take(1, 100.5)
    assert not bucket.take(1, 100.5)


def test_a_bucket_holds_no_more_than_it_can_however_long_nobody_takes_from_it() -> None:
    bucket = Bucket(2.0, 10.0)
    assert bucket.take(10, 0.0)
    assert not bucket.take(11, 1e6)
    assert bucket.take(10, 1e6)


def test_what_is_refused_is_not_taken() -> None:
    bucket = Bucket(1.0, 3.0)
    assert not bucket.take(4, 0.0)
    assert bucket.take(3, 0.0)


def test_who_owes_waits_until_it_has_come_in_and_those_behind_him_wait_longer() -> None:
    bucket = Bucket(2.0, 4.0)
    assert bucket.owe(4, 0.0) == 0.0
    assert bucket.owe(1, 0.0) == 0.5
    assert bucket.owe(1, 0.0) == 1.0
    assert bucket.owe(0, 1.0) == 0.0


def test_nobody_waits_without_end_for_what_others_took_who_have_left() -> None:
    bucket = Bucket(2.0, 4.0)
    assert bucket.owe(1_000_000, 0.0) == LONGEST_WAIT
    assert bucket.owe(1, 0.0) == LONGEST_WAIT


def test_a_host_is_slowed_by_the_number_of_its_frames_by_their_size_and_by_its_hellos() -> None:
    many, large, greeting = Pace(), Pace(), Pace()
    assert {many.frame(10, 0.0) for _ in range(int(FRAMES[1]))} == {0.0}
    assert many.frame(10, 0.0) > 0
    assert {large.frame(1 << 20, 0.0) for _ in range(int(FRAME_BYTES[1]) >> 20)} == {0.0}
    assert large.frame(1 << 20, 0.0) == (1 << 20) / FRAME_BYTES[0]
    assert {greeting.hello(0.0) for _ in range(int(HELLOS[1]))} == {0.0}
    assert greeting.hello(0.0) == 1 / HELLOS[0]
    assert greeting.frame(10, 0.0) == 0.0
