"""What stands around every page: tabs, the badge of open alerts, the icon of the browser's tab, a notice where nobody
is notified. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from rmactors.server.store.queries.channels import Glance
from rmactors.server.web.views.texts import _, many

Section = Literal["dashboard", "hosts", "policies", "repositories", "jobs", "alerts", "settings"]


@dataclass(frozen=True, slots=True)
class Tab:
    """`icon` is the path of a 20 by 20 drawing, shown on phones."""

    name: Section
    href: str
    word: str
    icon: str


@dataclass(frozen=True, slots=True)
class ChannelWarning:
    """A sentence above every page, and the link behind it."""

    sentence: str
    href: str
    link: str


@dataclass(frozen=True, slots=True)
class Shell:
    """`open` counts what is neither resolved nor acknowledged; `critical` those among the unresolved. `notice`: of
    channels, if they do not deliver or there are none."""

    open: int
    critical: int
    notice: ChannelWarning | None = None

    @property
    def icon(self) -> Literal["ok", "warn", "bad"]:
        if self.critical:
            return "bad"
        return "warn" if self.open else "ok"


_NAMED: Final = 3
"""Channels that a notice names; more are counted."""


def channel_notice(channels: Glance, may_act: bool) -> ChannelWarning | None:
    """What is said of the channels above every page. `may_act`: the reader may do something about it, and is told which
    they are."""
    everywhere = "/settings/notifications"
    if not channels.enabled:
        return ChannelWarning(
            _("No notification channel is enabled: alerts are shown here only, and nobody gets a message."),
            everywhere, _("Channels"),
        )  # fmt: skip
    if not channels.failing:
        return None
    if not may_act:
        return ChannelWarning(_("Some notifications are not delivered."), everywhere, _("Channels"))
    names = [name for _id, name in channels.failing]
    listed = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        listed += " " + many("and %(n)s more", "and %(n)s more", len(names) - _NAMED)
    sentence = _("Notifications are not delivered by: %s.") % listed
    href = f"{everywhere}/{channels.failing[0][0]}/log" if len(names) == 1 else everywhere
    return ChannelWarning(sentence, href, _("See why"))


TABS: Final = (
    Tab("dashboard", "/", _("Dashboard"), "M3 10.5 10 4l7 6.5M5 9v7h10V9"),
    Tab("hosts", "/hosts", _("Hosts"), "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01"),
    Tab("policies", "/policies", _("Policies"), "M4 5h7M4 10h7M4 15h7M14 4.5l1 1 2-2M14 9.5l1 1 2-2M14 14.5l1 1 2-2"),
    Tab(
        "repositories",
        "/repositories",
        _("Repositories"),
        "M4 5.5c0-1.4 2.7-2.5 6-2.5s6 1.1 6 2.5-2.7 2.5-6 2.5-6-1.1-6-2.5zM4 5.5v9c0 1.4 2.7 2.5 6 2.5s6-1.1 6-2.5v-9",
    ),
    Tab("jobs", "/jobs", _("Jobs"), "M4 5h12M4 10h12M4 15h7"),
    Tab("alerts", "/alerts", _("Alerts"), "M5 14V9a5 5 0 0 1 10 0v5l1.5 1.5h-13zM8.5 17.5h3"),
    Tab(
        "settings",
        "/settings",
        _("Settings"),
        "M3 6h7M14 6h3M12 4v4M3 14h3M10 14h7M8 12v4",
    ),
)
