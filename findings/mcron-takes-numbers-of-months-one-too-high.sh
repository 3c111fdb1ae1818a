#!/bin/bash
# GNU mcron 1.0.8 (Debian bookworm, 1.0.8-1.1), which reads crontabs as cron does: the number of a month means the next month.
# `0 3 1 2 *` runs on 1 March, `0 3 1 12 *` on 1 January, and a yearly job in February on the 29th in each March. Names of
# months are right.
#
# Expected: 1 is January, as its manual says of Vixie's crontabs and as each cron has it; `2` and `feb` are the same.
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
unpack bookworm mcron=1.0.8-1.1 guile-3.0=3.0.8-2 guile-3.0-libs=3.0.8-2 libgc1=1:8.2.2-3
root=$folder/bookworm/unpacked
ccache=$(dirname "$(find "$root" -path '*/ccache/ice-9' -prune -print -quit)")
export TZ=UTC GUILE_AUTO_COMPILE=0 GUILE_SYSTEM_PATH=$root/usr/share/guile/3.0
export GUILE_LOAD_PATH=$root/usr/share:$root/usr/share/guile/3.0 GUILE_LOAD_COMPILED_PATH=$ccache
LD_LIBRARY_PATH=$(dirname "$(find "$root" -name 'libguile-3.0.so.1')")
export LD_LIBRARY_PATH
guile=$(find "$root" -path '*/bin/guile' -type f -print -quit)

# Its own module for the times of crontabs says when each runs first after 28 November 2026.
cat > next.scm <<'S'
(use-modules (mcron vixie-time))
(for-each
  (lambda (spec)
    (format #t "~a: ~a\n" spec (strftime "%Y-%m-%d" (localtime ((parse-vixie-time spec) 1795860000)))))
  (cdr (command-line)))
S
"$guile" -s next.scm '0 3 1 2 *' '0 3 1 feb *' '0 3 1 12 *' '0 3 1 dec *' '0 3 29 2 *' | tee seen || exit 2
grep -q '^0 3 1 feb \*: 2027-02-01$' seen && grep -q '^0 3 1 dec \*: 2026-12-01$' seen || exit 2
grep -q '^0 3 1 2 \*: 2027-03-01$' seen && grep -q '^0 3 1 12 \*: 2027-01-01$' seen \
    && grep -q '^0 3 29 2 \*: 2027-03-29$' seen || exit 1
