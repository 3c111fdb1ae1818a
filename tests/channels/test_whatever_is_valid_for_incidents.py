"""Whatever the rules let pass of Gotify, Pushover, PagerDuty, Matrix and Alertmanager can be shown and sent."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.server.messages.notifications import Notification
from tests.channels.test_whatever_is_valid import notifications, odd, sent

keys = st.text("aZ0 -", min_size=30, max_size=32)


def arrives(kind: str, config: dict[str, str], good: dict[str, str], notification: Notification) -> None:
    """What the receiver says is none of their answers: that it was asked at all is what is looked at."""
    attempt = sent(kind, config, good, notification)
    assert attempt.status_code is not None, attempt.error


@settings(max_examples=80, deadline=None)
@given(path=odd, token=odd, notification=notifications)
def test_a_gotify_server(path: str, token: str, notification: Notification) -> None:
    config = {"server_url": "{here}/" + path, "app_token": token}
    arrives("gotify", config, {"server_url": "{here}", "app_token": "A1"}, notification)


@settings(max_examples=60, deadline=None)
@given(path=odd, key=keys, device=odd, sound=odd, notification=notifications)
def test_a_pushover_user(path: str, key: str, device: str, sound: str, notification: Notification) -> None:
    config = {"api_url": "{here}/" + path, "app_token": key, "user_key": key, "device": device, "sound": sound}
    good = {"api_url": "{here}", "app_token": "a" * 30, "user_key": "u" * 30}
    arrives("pushover", config, good, notification)


@settings(max_examples=60, deadline=None)
@given(path=odd, key=keys, notification=notifications)
def test_a_pagerduty_service(path: str, key: str, notification: Notification) -> None:
    config = {"events_url": "{here}/" + path, "routing_key": key}
    arrives("pagerduty", config, {"events_url": "{here}/v2/enqueue", "routing_key": "a" * 32}, notification)


@settings(max_examples=80, deadline=None)
@given(path=odd, room=odd, token=odd, notification=notifications)
def test_a_matrix_room(path: str, room: str, token: str, notification: Notification) -> None:
    config = {"homeserver_url": "{here}/" + path, "room_id": "!" + room, "access_token": token}
    good = {"homeserver_url": "{here}", "room_id": "!a", "access_token": "t"}
    arrives("matrix", config, good, notification)


@settings(max_examples=80, deadline=None)
@given(path=odd, user=odd, password=odd, token=odd, notification=notifications)
def test_an_alertmanager(path: str, user: str, password: str, token: str, notification: Notification) -> None:
    config = {"url": "{here}/" + path, "username": user, "password": password, "bearer_token": token}
    arrives("alertmanager", config, {"url": "{here}"}, notification)
