"""Types of fields that bodies and answers share, as the OpenAPI description shows them."""

from typing import Annotated

from msgspec import Meta

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with `Z`."""
ID_PATTERN = "^[0-9A-Za-z]{26}$"
"""For the description, in whose regular expressions `$` is the very end; what is an id here says `ids.looks_valid`."""
Id = Annotated[str, Meta(extra_json_schema={"pattern": ID_PATTERN})]
