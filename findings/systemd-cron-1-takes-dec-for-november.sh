#!/bin/bash
# systemd-cron 1.15.19 (Debian bookworm, 1.15.19-5), which runs crontabs as systemd timers: `dec` is November, alone, in a
# list and at the end of a range; and days of the week that end with 7, or with `sun` (`6-7`, `sat-sun`), are called garbled,
# and the job is given a timer without them: it runs every day.
#
# Expected: December; Saturday and Sunday, or no timer for what is called garbled. As numbers (`12`, `6,7`) both are right.
# Exit code: 0 as seen, 1 where they are read as they are meant, 2 where the package could not be had.
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
generator=$folder/bookworm/unpacked/lib/systemd/system-generators/systemd-crontab-generator

# timer WHEN: the OnCalendar= of a job with these five fields; nothing without a timer. Run where /etc/cron.d is our own.
timer() {
    rm -rf cron.d/* units
    mkdir -p cron.d units
    echo "$1 root restic backup /home" > cron.d/backup
    unshare --map-root-user --mount sh -c 'mount --bind cron.d /etc/cron.d && exec "$@"' - \
        python3 "$generator" units 2>> said
    sed -n 's/^OnCalendar= *//p' units/cron-backup-root-0.timer 2> /dev/null || true
}

for job in '0 2 1 12 *' '0 2 1 dec *' '0 2 1 jan,dec *' '0 2 * * 6,7' '0 2 * * 6-7' '0 2 * * sat-sun' '0 2 * * sat,sun'; do
    echo "$job: $(timer "$job")"
done
cat said
[ "$(timer '0 2 1 12 *')" = '*-12-1 2:0:00' ] && [ "$(timer '0 2 * * 6,7')" = 'Sun,Sat *-*-* 2:0:00' ] || exit 2
[ "$(timer '0 2 1 dec *')" = '*-11-1 2:0:00' ] && [ "$(timer '0 2 1 jan,dec *')" = '*-1,11-1 2:0:00' ] || exit 1
[ "$(timer '0 2 * * 6-7')" = '*-*-* 2:0:00' ] && [ "$(timer '0 2 * * sat-sun')" = '*-*-* 2:0:00' ] || exit 1
