#!/bin/bash
# systemd-cron 1.15.19 and 2.5.1 (Debian bookworm and trixie; 2.8.2 of sid does the same): a job whose day of the month and
# day of the week are both given runs on days that are both. `0 3 13 * 5` becomes `Fri *-*-13`, which is some days in a year.
#
# Expected: the 13th of every month, and every Friday. So says its own crontab(5), so does Debian's cron.
# Exit code: 0 as seen, 1 where it runs on either, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }
[ -d /etc/cron.d ] || { echo "there is no /etc/cron.d to put a folder over"; exit 2; }

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
unpack bookworm systemd-cron=1.15.19-5
unpack trixie systemd-cron=2.5.1-2 libc6 libstdc++6 libgcc-s1 libmd0
libraries=$folder/trixie/unpacked/usr/lib/x86_64-linux-gnu
mkdir cron.d
echo '0 3 13 * 5 root restic backup /home' > cron.d/backup

# timer GENERATOR…: the OnCalendar= that it makes of the job, where /etc/cron.d is our own
timer() {
    rm -rf units
    mkdir units
    unshare --map-root-user --mount sh -c 'mount --bind cron.d /etc/cron.d && exec "$@"' - "$@" units units units
    sed -n 's/^OnCalendar=//p' units/cron-backup-root-0.timer
}

old=$(timer python3 bookworm/unpacked/lib/systemd/system-generators/systemd-crontab-generator)
new=$(timer "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" \
    trixie/unpacked/usr/lib/systemd/system-generators/systemd-crontab-generator)
echo "0 3 13 * 5: $old (1.15.19), $new (2.5.1)"
zcat trixie/unpacked/usr/share/man/man5/crontab.5.gz | grep -c 'at least one of the two day fields' > said || true
[ "$(cat said)" = 1 ] && [ -n "$old" ] && [ -n "$new" ] || exit 2
[ "$old" = 'Fri *-*-13 3:0:00' ] && [ "$new" = "$old" ] || exit 1
