"""Which part of the data a check reads, in restic's own terms. Pure; server and agent ask the same."""

import re
from typing import Final

MOST_PARTS: Final = 256
"""restic divides packs by the first byte of their ids."""
_PART: Final = re.compile(r"(\d{1,4})/(\d{1,4})", re.ASCII)
_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%", re.ASCII)


def check_subset(text: object) -> None:
    """Raises ValueError with what `read_data_subset` must be, if this is not it."""
    if isinstance(text, str):
        if part := _PART.fullmatch(text):
            number, parts = int(part[1]), int(part[2])
            if 1 <= number <= parts <= MOST_PARTS:
                return
            raise ValueError(f"must be n/m with n from 1 to m, and m at most {MOST_PARTS}, like 1/5")
        if share := _SHARE.fullmatch(text):
            if 0 < float(share[1]) <= 100:
                return
            raise ValueError("must be above 0% and at most 100%")
    raise ValueError("must be n/m, like 1/5, or a percentage, like 2.5%")
