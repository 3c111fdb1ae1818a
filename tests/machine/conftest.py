"""`make machine` plays many more lives than the tests do."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "many", max_examples=3000, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
