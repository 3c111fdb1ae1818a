"""The pages. Each module exposes `blueprint`."""

from quart import Blueprint

BLUEPRINTS: list[Blueprint] = []
