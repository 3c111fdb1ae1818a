#!/bin/bash
# backupninja 1.2.2 (Debian bookworm and trixie, 1.2.2-1) with restic 0.14.0: in a job of restic, options that its example
# marks as `[yes/no]` are on as soon as they say anything. `dry_run = no` makes each `forget` a dry run: it keeps all
# snapshots for ever and is "successful"; `prune = no` prunes, `one_file_system = no` leaves out other file systems. And
# `with_atime = yes` makes each backup fail, for it becomes an option that restic does not have (`--with_atime`).
#
# Expected: `no` is no, as in the same file with `run_prune = no`; `with_atime` is `--with-atime`.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had. Needs root, as backupninja does.
set -eu
[ "$(id -u)" = 0 ] || { echo "backupninja wants to be root"; exit 2; }
folder=$(mktemp -d)
[ -e /var/lock/backupninja ] && locks= || locks=/var/lock/backupninja
trap 'rm -rf "$folder" $locks' EXIT
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
unpack bookworm backupninja=1.2.2-1 restic=0.14.0-1+b5
root=$folder/bookworm/unpacked
export PATH=$root/usr/bin:$PATH RESTIC_CACHE_DIR=$folder/cache
mkdir -m 700 jobs files
echo one > files/one
cat > ninja.conf <<CONF
loglevel = 4
reportemail =
logfile = $folder/log
configdirectory = $folder/jobs
scriptdirectory = $root/usr/share/backupninja
libdirectory = $root/usr/lib/backupninja
usecolors = no
when = everyday at 01:00
CONF

# job NAME LINE…: runs a job that backs up and forgets, with these lines in its section on forgetting; what its log says
job() {
    cat > "jobs/10-$1.restic" <<JOB
[general]
run_backup = yes
run_forget = yes
repository = $folder/$1
password = secret
[backup]
include = $folder/files
$2
[forget]
keep_last = 1
$3
JOB
    chmod 600 "jobs/10-$1.restic"
    : > log
    "$root/usr/sbin/backupninja" -f ninja.conf --now --run "jobs/10-$1.restic" > output 2>&1 || true
    cat log
}
snapshots() { RESTIC_PASSWORD=secret restic -r "$folder/$1" snapshots --json | grep -o '"short_id"' | wc -l; }

job plain "" "" > first
for name in plain dry; do
    for _ in 1 2 3; do job $name "" "$([ $name = plain ] || echo 'dry_run = no')" > last; done
    grep -q 'forget successful' last || { cat last output; exit 2; }
    echo "$name: $(snapshots $name) snapshots after 3 runs that keep 1"
done
job atime "with_atime = yes" "" > last
grep -i 'unknown flag' last || true

[ "$(snapshots plain)" = 1 ] || exit 2
[ "$(snapshots dry)" = 3 ] && grep -q 'unknown flag: --with_atime' last || exit 1
