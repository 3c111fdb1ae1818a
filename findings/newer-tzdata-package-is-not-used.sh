#!/bin/sh
# Python's zoneinfo prefers the system's time zone data, however old, to a newer package `tzdata` that is installed on
# purpose: with Debian 12's 2025b, Vancouver is an hour off since 2026-11-01, although tzdata 2026.6 is there.
#
# Expected: who installs the newer package gets its rules. Documented is only the order, not that versions play no part.
# Exit code: 0 as seen, 1 where zoneinfo takes the newer data, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env || exit 2
env/bin/pip install --quiet --disable-pip-version-check tzdata==2026.6 || exit 2
apt-get download -qq tzdata=2025b-0+deb12u1 2>/dev/null || exit 2
dpkg-deb -x tzdata_*.deb system

cat > ask.py <<'END'
import zoneinfo
from datetime import UTC, datetime
import tzdata
moment = datetime(2026, 11, 20, 11, 0, tzinfo=UTC).astimezone(zoneinfo.ZoneInfo("America/Vancouver"))
print(f"{moment:%H:%M %z}  (package tzdata {tzdata.IANA_VERSION}, searched first: {list(zoneinfo.TZPATH)})")
END
env/bin/python --version
head -n 1 system/usr/share/zoneinfo/tzdata.zi
both=$(PYTHONTZPATH="$folder/system/usr/share/zoneinfo" env/bin/python ask.py)
package=$(PYTHONTZPATH="" env/bin/python ask.py)
echo "both:         $both"
echo "package only: $package"
case "$both" in "03:00 -0800"*) ;; *) echo "zoneinfo does not take the older data any more"; exit 1 ;; esac
case "$package" in "04:00 -0700"*) ;; *) echo "the package's rules are others"; exit 1 ;; esac
