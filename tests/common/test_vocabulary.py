"""Every kind of alert has its traits, and its row in docs/alerts.md."""

import re

from harness.processes import ROOT
from rmactors.common.vocabulary import ALERT_KINDS, ALERTS

ROWS = re.findall(r"^\| (`[^|]+`) \| (\w+) \|", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)


def test_every_kind_of_alert_has_its_traits() -> None:
    assert tuple(ALERTS) == ALERT_KINDS


def test_every_kind_of_alert_has_its_row_in_the_documentation() -> None:
    told = {kind: severity for kinds, severity in ROWS for kind in re.findall(r"`(\w+)`", kinds)}
    assert told == {kind: traits.severity for kind, traits in ALERTS.items()}
