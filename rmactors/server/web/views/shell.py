"""What stands around every page: tabs, the badge of open alerts, the icon of the browser's tab. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from rmactors.server.web.views.texts import _

Section = Literal["dashboard", "hosts", "jobs", "alerts", "settings"]


@dataclass(frozen=True, slots=True)
class Tab:
    """`icon` is the path of a 20 by 20 drawing, shown on phones."""

    name: Section
    href: str
    word: str
    icon: str


@dataclass(frozen=True, slots=True)
class Shell:
    """`open` counts what is neither resolved nor acknowledged; `critical` those among the unresolved."""

    open: int
    critical: int

    @property
    def icon(self) -> Literal["ok", "warn", "bad"]:
        if self.critical:
            return "bad"
        return "warn" if self.open else "ok"


TABS: Final = (
    Tab("dashboard", "/", _("Dashboard"), "M3 10.5 10 4l7 6.5M5 9v7h10V9"),
    Tab("hosts", "/hosts", _("Hosts"), "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01"),
    Tab("jobs", "/jobs", _("Jobs"), "M4 5h12M4 10h12M4 15h7"),
    Tab("alerts", "/alerts", _("Alerts"), "M5 14V9a5 5 0 0 1 10 0v5l1.5 1.5h-13zM8.5 17.5h3"),
    Tab(
        "settings",
        "/settings",
        _("Settings"),
        "M3 6h7M14 6h3M12 4v4M3 14h3M10 14h7M8 12v4",
    ),
)
