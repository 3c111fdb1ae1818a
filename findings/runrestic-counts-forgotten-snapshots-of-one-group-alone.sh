#!/bin/bash
# runrestic 0.5.31 (PyPI) with restic 0.14.0 (Debian bookworm): where several hosts or lists of sources share a repository,
# its metric `restic_forget_removed_snapshots` is that of the first group alone. Two hosts with three snapshots each and
# `keep-last = 1`: four are removed, it says 2. restic says "remove 2 snapshots" once for each group.
#
# Expected: 4, as its help says, "Number of forgotten snapshots".
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
unpack bookworm restic=0.14.0-1+b5
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check runrestic==0.5.31; } || exit 2
export PATH=$folder/bookworm/unpacked/usr/bin:$PATH RESTIC_REPOSITORY=$folder/repository RESTIC_PASSWORD=x
export RESTIC_CACHE_DIR=$folder/cache

echo one > file
restic -q init
for host in nas web; do
    for _ in 1 2 3; do restic -q backup --host "$host" file; done
done
cat > config.toml <<T
name = "all"
repositories = ["$folder/repository"]
[environment]
RESTIC_PASSWORD = "x"
[backup]
sources = ["$folder/file"]
[prune]
keep-last = 1
[metrics.prometheus]
path = "$folder/all.prom"
T
env/bin/runrestic -c config.toml prune > output 2>&1 || { cat output; exit 1; }
left=$(restic snapshots --json | grep -o '"short_id"' | wc -l)
echo "six snapshots were there, $left are left"
grep '^restic_forget_removed_snapshots' all.prom
[ "$left" = 2 ] && grep -q '^restic_forget_removed_snapshots{.*} 2$' all.prom || exit 1
