"""The pages. Each module exposes `blueprint`; `install` gives every template what it needs."""

from quart import Blueprint, Quart

from rmactors.web.views.texts import translations

BLUEPRINTS: list[Blueprint] = []


def install(app: Quart) -> None:
    """Called once for each app: filters, globals and context of the templates."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
