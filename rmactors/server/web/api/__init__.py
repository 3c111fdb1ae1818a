"""The JSON API and its neighbours for programs: `/healthz`, `/metrics`, `/events`. Each module exposes `blueprint`."""

from quart import Blueprint

from rmactors.server.web.api import (
    account,
    alerts,
    deliveries,
    description,
    events,
    health,
    hosts,
    jobs,
    notifications,
    schedules,
    silences,
    users,
)

BLUEPRINTS: list[Blueprint] = [
    health.blueprint,
    events.blueprint,
    alerts.blueprint,
    hosts.blueprint,
    schedules.blueprint,
    jobs.blueprint,
    silences.blueprint,
    notifications.blueprint,
    deliveries.blueprint,
    description.blueprint,
    users.blueprint,
    account.blueprint,
]
