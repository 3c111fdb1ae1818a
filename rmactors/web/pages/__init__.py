"""The pages. Each module exposes `blueprint`; what a page says is decided in `rmactors.web.views`."""

from quart import Blueprint

from rmactors.web.pages import alerts, dashboard, hosts, jobs, rendering

BLUEPRINTS: list[Blueprint] = [
    rendering.blueprint,
    dashboard.blueprint,
    alerts.blueprint,
    hosts.blueprint,
    jobs.blueprint,
]
