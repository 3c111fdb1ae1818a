#!/usr/bin/env bash
# fetch_restics.sh DIR: unpacks restic as each Debian suite ships it into DIR/VERSION/restic.
# Nothing is installed, and nothing of this machine's apt changes: lists and cache lie in a folder that is removed
# at the end. The packages come from the mirror that apt uses here already. What cannot be fetched is said and left out.
set -u
mkdir -p "$1"
into=$(cd "$1" && pwd) # apt-get is told folders while another one is the current one
work=$(mktemp -d "$into.XXXXXX") # beside it: programs can be run there, which is not so in every /tmp
trap 'rm -rf "$work"' EXIT

mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        grep -v -e security -e snapshot | sort -u | head -n 1
}

base=$(mirror)
if [ -z "$base" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -q >/dev/null 2>&1
    base=$(mirror)
fi
if [ -z "$base" ]; then
    echo "No Debian mirror is known here: the tests use the restic that is installed." >&2
    exit 0
fi

for suite in bookworm trixie sid; do
    root=$work/$suite
    mkdir -p "$root/lists/partial" "$root/cache/archives/partial" "$root/unpacked"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $base $suite main" >"$root/sources.list"
    : >"$root/status" # as if nothing were installed: a newer restic that is would hide the one of an older suite
    options=(-o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null
             -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
             -o "Dir::State::status=$root/status" -o "Dir::State::Lists=$root/lists" -o "Dir::Cache=$root/cache"
             -o APT::Sandbox::User= -o Acquire::Languages=none
             -o Acquire::Retries=1 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30)
    if (cd "$root/unpacked" && apt-get "${options[@]}" update -q && apt-get "${options[@]}" download -q restic &&
        dpkg -x ./*.deb .) >"$root/log" 2>&1 &&
        version=$("$root/unpacked/usr/bin/restic" version 2>>"$root/log" | sed -n 's/^restic \([0-9.]*\).*/\1/p') &&
        [ -n "$version" ]; then
        mkdir -p "$into/$version"
        mv "$root/unpacked/usr/bin/restic" "$into/$version/restic"
    else
        echo "The restic of Debian $suite cannot be fetched or run here, and is not tested against:" >&2
        tail -n 2 "$root/log" >&2
    fi
done
rmdir "$into" 2>/dev/null || touch "$into" # touched: those that are here are today's; gone: ask again the next time
