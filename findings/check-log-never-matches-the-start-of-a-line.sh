#!/bin/bash
# monitoring-plugins-basic 2.4.0 (Debian trixie): `check_log` looks for its pattern in what `diff` says of the new lines, so
# each begins with "< ". A pattern that begins with `^` matches none: `-q '^Fatal:'` says OK whatever restic writes, with `-e`
# and `-p` as well, and what `--exclude` names by its start still counts. A pattern for digits matches diff's own lines: `[0-9]`
# tells of "3d2" as if the log said so.
#
# Expected: CRITICAL for a new line "Fatal: …": its help and its header say that it looks in the log for a pattern, a regular
# expression, and tells of new lines alone.
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
unpack trixie monitoring-plugins-basic=2.4.0-3+deb13u1 monitoring-plugins-common=2.4.0-3+deb13u1

as_seen=0
# check ANSWER LINE OPTION…: its exit code (0 OK, 2 CRITICAL) and word once the log has one more line
check() {
    printf 'open repository\nsnapshot saved\n' | tee log > old
    echo "$2" >> log
    code=0
    said=$(trixie/unpacked/usr/lib/nagios/plugins/check_log -F log -O old "${@:3}" 2>&1) || code=$?
    echo "new line \"$2\", ${*:3}: $code, $said"
    [ "$code $said" = "$1" ] || as_seen=1
}
check '2 (1) < Fatal: wrong password' 'Fatal: wrong password' -q 'Fatal:'
check '0 Log check ok - 0 pattern matches found' 'all is well' -q 'Fatal:'
[ "$as_seen" = 0 ] || exit 2
check '0 Log check ok - 0 pattern matches found' 'Fatal: wrong password' -q '^Fatal:'
check '0 Log check ok - 0 pattern matches found' 'Fatal: wrong password' -e -q '^(Fatal|Error):'
check '0 Log check ok - 0 pattern matches found' 'Fatal: wrong password' -p -q '^Fatal:'
check '2 (1) < debug: no error' 'debug: no error' -q error --exclude '^debug:'
check '2 (1) 3d2' 'all is well' -q '[0-9]'
exit "$as_seen"
