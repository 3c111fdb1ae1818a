#!/bin/bash
# bcron 0.11 (Debian bookworm, 0.11-19), which stands in for cron: it knows no `@daily`, `@weekly` and the like. Such a line is
# "unparseable", which only its log says, and the others of the crontab run. And where day of the month and day of the week
# are both given, both have to fit.
#
# Expected: `@daily` runs daily, as with cron and systemd-cron; `0 3 13 * 5` on the 13th and on every Friday, as
# its own crontab(5) says.
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
unpack bookworm bcron=0.11-19 libbg2
mkdir -p spool/crontabs
mkfifo spool/trigger
: > log
printf '%s true\n' '@daily' '@weekly' '0 4 * * *' '0 3 13 * 5' > spool/crontabs/root

# It tells of each job when that runs next.
LD_LIBRARY_PATH=$(dirname "$(find "$folder/bookworm/unpacked" -name libbg.so.2)") TZ=UTC BCRON_SPOOL=$folder/spool \
    bookworm/unpacked/usr/sbin/bcron-sched > jobs 2> log &
scheduler=$!
trap 'kill $scheduler 2> /dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 100); do grep -q "Loading 'root'" log && break; sleep 0.1; done
kill -USR1 $scheduler
for _ in $(seq 100); do grep -q 'H:4.*next:' log && grep -q 'd:13.*next:' log && break; sleep 0.1; done
cat log

grep -q 'H:4 .*next:' log || exit 2
[ "$(grep -c "unparseable line: '@" log)" = 2 ] && [ "$(grep -c 'next:' log)" = 2 ] || exit 1
next=$(sed -n 's/.*d:13 .*next:\([-0-9]*\) .*/\1/p' log)
[ "$(LC_ALL=C date -u -d "$next" +'%d %a')" = '13 Fri' ] || exit 1
