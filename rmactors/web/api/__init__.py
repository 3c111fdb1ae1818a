"""The JSON API and its neighbours for programs: `/healthz`, `/metrics`, `/events`. Each module exposes `blueprint`."""

from quart import Blueprint

from rmactors.web.api import health

BLUEPRINTS: list[Blueprint] = [health.blueprint]
