"""The pages. Each module exposes `blueprint`; what a page says is decided in `rmactors.server.web.views`."""

from quart import Blueprint

from rmactors.server.web.pages import (
    account,
    alerts,
    audit,
    dashboard,
    hosts,
    jobs,
    rendering,
    schedules,
    settings,
    silences,
    users,
)

_MODULES = (rendering, dashboard, alerts, hosts, schedules, jobs, silences, settings, users, account, audit)

BLUEPRINTS: list[Blueprint] = [module.blueprint for module in _MODULES]
