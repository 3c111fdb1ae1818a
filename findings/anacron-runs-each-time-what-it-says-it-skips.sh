#!/bin/bash
# anacron 2.3 (Debian bookworm 2.3-36, trixie 2.3-43): of a line with `@daily` or `@weekly` it says "Unknown named period
# on line N, skipping", and then runs it, and again each time that it is started. systemd starts it 17 times a day there.
# `@monthly` and `@yearly` are known. cronie's anacron, whose tables look the same, knows `@daily` and `@weekly` too.
#
# Expected: the line is skipped, as it says; or run once a week.
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
unpack bookworm anacron=2.3-36
unpack trixie anacron=2.3-43

mkdir spool
printf '%s\n' '@weekly 0 weekly echo weekly >> ran' '@monthly 0 monthly echo monthly >> ran' '7 0 seven echo seven >> ran' > tab
sed -i "s|>> ran|>> $folder/ran|" tab
for suite in bookworm trixie; do
    : > ran
    rm -f spool/*
    for start in 1 2 3; do
        "$suite/unpacked/usr/sbin/anacron" -d -n -s -t "$folder/tab" -S "$folder/spool" 2> said
    done
    grep -o 'Unknown named period on line 1, skipping' said || exit 1
    echo "$suite, started three times: $(sort ran | uniq -c | xargs)"
    [ "$(sort ran | uniq -c | xargs)" = "1 monthly 1 seven 3 weekly" ] || exit 1
done
