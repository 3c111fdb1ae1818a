#!/bin/bash
# systemd-cron 2.5.1 (Debian trixie, 2.5.1-2; 2.8.2 of sid does the same), which runs crontabs as systemd timers: a job with
# the name of a month (`0 2 1 dec *`, `jan,jul`) gets no timer, so that it never runs; and one with the name `sun` in its
# days, alone or in a list, runs every day. Other names of days, and numbers (`0`, `7`, `12`), are read as they are meant.
#
# Expected: its crontab(5) says that months and days have names, as in every cron.
# Exit code: 0 as seen, 1 where names are read as they are meant, 2 where the package could not be had.
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
unpack trixie systemd-cron=2.5.1-2 libc6 libstdc++6 libgcc-s1 libmd0
libraries=$folder/trixie/unpacked/usr/lib/x86_64-linux-gnu
generator=$folder/trixie/unpacked/usr/lib/systemd/system-generators/systemd-crontab-generator

# timer WHEN: the OnCalendar= of a job with these five fields; nothing without a timer. Run where /etc/cron.d is our own.
timer() {
    rm -rf cron.d/* units
    mkdir -p cron.d units
    echo "$1 root restic backup /home" > cron.d/backup
    unshare --map-root-user --mount sh -c 'mount --bind cron.d /etc/cron.d && exec "$@"' - \
        "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$generator" units units units
    sed -n 's/^OnCalendar=//p' units/cron-backup-root-0.timer 2> /dev/null || true
}

for job in '0 2 1 12 *' '0 2 1 dec *' '0 2 1 jan,jul *' '0 2 * * 0' '0 2 * * sun' '0 2 * * sat,sun' '0 2 * * mon,thu'; do
    echo "$job: $(timer "$job")" | tee -a seen
done
[ "$(timer '0 2 1 12 *')" = '*-12-1 2:0:00' ] && [ "$(timer '0 2 * * 0')" = 'Sun *-*-* 2:0:00' ] || exit 2
[ -z "$(timer '0 2 1 dec *')" ] && [ -z "$(timer '0 2 1 jan,jul *')" ] || exit 1
[ "$(timer '0 2 * * sun')" = 'Mon,Tue,Wed,Thu,Fri,Sat,Sun *-*-* 2:0:00' ] || exit 1
