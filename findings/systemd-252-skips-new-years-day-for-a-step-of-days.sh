#!/bin/bash
# systemd 252 (Debian bookworm, 252.39-1~deb12u2): a timer whose days are a start with a step, like `*-*-01/7` (days 1, 8,
# 15, 22, 29) or `*-*-01/11`, does not elapse on 1 January. The step that leads over the end of December is carried into
# January: from the 29th seven days on is day 36, the 5th of January, and the search goes on behind that. No other month
# loses its first day, and a list (`*-*-01,08,15,22,29`) loses none. systemd 257 (trixie) elapses on 1 January.
#
# Expected: the first of every month. A backup that such a timer runs is left out once a year.
# Exit code: 0 as seen, 1 where the step has 1 January, 2 where the package could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }

# Packages of bookworm, unpacked and not installed, with lists of apt's own.
mkdir -p lists/partial cache/archives/partial
: > status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" > sources.list
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$folder/lists" -o "Dir::State::status=$folder/status" -o "Dir::Cache=$folder/cache"
    -o APT::Sandbox::User= -o Acquire::Languages=none)
"${apt[@]}" update && "${apt[@]}" download systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2 || exit 2
for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done

# days EXPRESSION FROM: the next dates on which it elapses
days() {
    LC_ALL=C TZ=UTC LD_LIBRARY_PATH=$(dirname "$(find "$folder/unpacked" -name 'libsystemd-shared-252.so')") \
        unpacked/usr/bin/systemd-analyze calendar --iterations=3 --base-time="$2 00:00:00 UTC" "$1" |
        sed -nE 's/^ *(Next elapse|Iter\. #[0-9]+): [A-Z][a-z]+ ([-0-9]+) .*/\2/p' | tr '\n' ' '
}

step=$(days '*-*-01/7' 2026-12-23)
list=$(days '*-*-01,08,15,22,29' 2026-12-23)
other=$(days '*-*-01/7' 2026-11-23)
echo "*-*-01/7           from 23 December: $step"
echo "*-*-01,08,15,22,29 from 23 December: $list"
echo "*-*-01/7           from 23 November: $other"
[ "$list" = "2026-12-29 2027-01-01 2027-01-08 " ] && [ "$other" = "2026-11-29 2026-12-01 2026-12-08 " ] || exit 2
[ "$step" = "2026-12-29 2027-01-08 2027-01-15 " ] || exit 1
