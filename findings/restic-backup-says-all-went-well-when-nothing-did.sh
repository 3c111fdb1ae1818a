#!/bin/bash
# restic-backup 1.0.1 (PyPI) with restic 0.14.0 (Debian bookworm): a project whose backup fails is named in one line, then it
# says "All projects backed up successfully!" and ends with 0; likewise where the folder of a project is not there. A restore
# that fails is "Restore completed", and ends with 0.
#
# Expected: no word of success, and another exit code than 0: its README has it run by cron and by a systemd timer, which
# know of a failure by nothing else, and its command ends with 1 where the configuration is missing.
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
{ python3 -m venv env && env/bin/pip install -q --disable-pip-version-check restic-backup==1.0.1; } || exit 2
export PATH=$folder/bookworm/unpacked/usr/bin:$PATH RESTIC_CACHE_DIR=$folder/cache PYTHONIOENCODING=utf-8

mkdir photos
echo one > photos/one
cat > config.yaml <<T
repository: $folder/backups
retention: {daily: 7, weekly: 4, monthly: 3}
projects:
  photos: {source: $folder/photos}
  mail: {source: $folder/not-mounted}
T
# run PASSWORD ARGUMENT…: what it says and its exit code
run() {
    code=0
    RESTIC_PASSWORD=$1 env/bin/restic-backup --config config.yaml "${@:2}" > output 2>&1 || code=$?
}
as_seen=0
run right backup
echo "backup of all, one folder is not there: exit code $code"
grep -e Skipping -e All output || as_seen=1
[ "$code" = 0 ] && grep -q 'All projects backed up successfully' output || as_seen=1
[ "$(ls backups/photos/snapshots | wc -l)" = 1 ] || { cat output; exit 2; }

run wrong backup photos
echo "backup with a wrong password: exit code $code, still $(ls backups/photos/snapshots | wc -l) snapshot"
grep -e Error -e All output || as_seen=1
[ "$code" = 0 ] && grep -q 'All projects backed up successfully' output || as_seen=1

run wrong restore photos "$folder/restored"
echo "restore with a wrong password: exit code $code, $(ls restored | wc -l) files"
grep -e Fatal -e completed output || as_seen=1
[ "$code" = 0 ] && grep -q 'Restore completed' output || as_seen=1
exit "$as_seen"
