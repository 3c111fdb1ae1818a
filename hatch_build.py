"""Build hook: puts htmx beside our own static files, so that pages load nothing from elsewhere.

htmx has no distribution of its own on PyPI; `django-htmx` carries it and is a build requirement for that file alone
(there is no Django at run time). The file is copied into the git-ignored `web/static/vendor/`, for editable installs,
wheels and source distributions alike, and never without its checksum.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DISTRIBUTION = "django-htmx"
SOURCE = "django_htmx/static/django_htmx/htmx-2.min.js"
SHA256 = "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de"  # htmx 2.0.10
TARGET = "web/static/vendor/htmx.min.js"


class CarryHtmx(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before anything is packed, so that what it writes is packed as well."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        script = Path(str(importlib.metadata.distribution(DISTRIBUTION).locate_file(SOURCE))).read_bytes()
        found = hashlib.sha256(script).hexdigest()
        if found != SHA256:
            raise RuntimeError(
                f"{SOURCE} of {DISTRIBUTION} has SHA-256 {found}, expected {SHA256}. If the version was changed on"
                " purpose, look at what changed in htmx and set the new sum in hatch_build.py."
            )
        target = Path(self.root, TARGET)
        if target.is_file() and target.read_bytes() == script:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(script)
