#!/bin/bash
# restic-replica 0.2.1 (PyPI) with restic 0.18.0 (Debian trixie): `keep-weekly` names a week by its ISO number and the year
# of the calendar. Tuesday, 30 December 2025 is in week 1, so it becomes "week 1 of 2025": the last snapshot of the real
# week 1 of 2025 is never copied, and the week of New Year 2026 is copied twice.
#
# Expected: the snapshots that `restic forget --keep-weekly` keeps: its README says that its filters work as those of
# `restic forget`, and that weeks begin on Monday.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }

# unpack SUITE PACKAGE…: packages of that suite into a folder of its name, not installed, with lists of apt's own
unpack() {
    suite=$1
    shift
    mkdir -p "$suite/lists/partial" "$suite/cache/archives/partial"
    : > "$suite/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$suite/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/$suite/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::Lists=$folder/$suite/lists" -o "Dir::State::status=$folder/$suite/status"
        -o "Dir::Cache=$folder/$suite/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
    (cd "$suite" && "${apt[@]}" update && "${apt[@]}" download "$@") || exit 2
    for package in "$suite"/*.deb; do dpkg-deb -x "$package" "$suite/unpacked"; done
}
unpack trixie restic=0.18.0-1+b4
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check restic-replica==0.2.1; } || exit 2
export PATH=$folder/trixie/unpacked/usr/bin:$PATH RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$folder/cache HOME=$folder TZ=UTC

echo one > file
restic -q -r source init
restic -q -r copy init --from-repo source --copy-chunker-params --from-password-file <(echo x)
for day in 2025-01-03 2025-12-28 2025-12-30 2026-01-02; do
    restic -q -r source backup --host nas --time "$day 12:00:00" file
done
mkdir .restic-replica
cat > .restic-replica/config.toml <<T
[restic]
[policy]
keep-weekly = 10
[source]
repository_uri = '$folder/source'
password = 'x'
[destination]
repository_uri = '$folder/copy'
password = 'x'
T
env/bin/restic-replica > output 2>&1 || { cat output; exit 1; }
kept=$(restic -r source forget --keep-weekly 10 --dry-run --json | python3 -c 'import json, sys
print(*sorted(s["time"][:10] for s in json.loads(sys.stdin.readline())[0]["keep"]))')
copied=$(restic -r copy snapshots --json | python3 -c 'import json, sys
print(*sorted(s["time"][:10] for s in json.load(sys.stdin)))')
for day in 2025-01-03 2025-12-28 2025-12-30 2026-01-02; do echo "$day is in week $(date -d "$day" '+%V of %G')"; done
echo "the last snapshots of up to ten weeks, by restic forget: $kept"
echo "copied by restic-replica:                                $copied"
[ "$kept" = "2025-01-03 2025-12-28 2026-01-02" ] || exit 2
[ "$copied" = "2025-12-28 2025-12-30 2026-01-02" ] || exit 1
