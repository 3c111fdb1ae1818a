#!/bin/bash
# Two modules of Perl that say when cron runs a line next (Debian bookworm), Schedule::Cron::Events 1.96 with Set::Crontab
# 1.03, and Schedule::Cron 1.05: of a step after a star they count days and months from 0. `0 3 */10 * *` is the 10th, 20th
# and 30th to the first; to the second it is these and the 1st. `*/3` for the month begins with March. `1-31/10` is right.
#
# Expected: 1st, 11th, 21st, 31st, as with cron, where a star is the range from first to last. By their documentation the
# first says when cron runs a line next, with steps as in crontab(5), and the second knows the steps of Vixie's cron.
# Exit code: 0 as seen, 1 where they do, 2 where the packages could not be had.
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
unpack bookworm libschedule-cron-events-perl=1.96-2 libset-crontab-perl=1.03-1.1 libschedule-cron-perl=1.05-1 \
    libtime-parsedate-perl=2015.103-4

# Four runs each from noon on 31 December 2026.
cat > next.pl <<'P'
use POSIX qw(strftime);
use Schedule::Cron;
use Schedule::Cron::Events;
my $start = 1798718400;
for my $line ('0 3 */10 * *', '0 3 1-31/10 * *', '0 3 1 */3 *', '0 3 1 1-12/3 *') {
    my $events = Schedule::Cron::Events->new("$line restic", Seconds => $start);
    my @events = map { strftime('%m-%d', $events->nextEvent) } 1 .. 4;
    my ($cron, $time) = (Schedule::Cron->new(sub { }), $start);
    my @cron = map { $time = $cron->get_next_execution_time($line, $time); strftime('%m-%d', gmtime $time) } 1 .. 4;
    print "$line: Events @events; Cron @cron\n";
}
P
TZ=UTC perl -I bookworm/unpacked/usr/share/perl5 next.pl > seen || exit 2
cat seen
has() { grep -qxF "$1" seen || exit 1; }
has '0 3 1-31/10 * *: Events 01-01 01-11 01-21 01-31; Cron 01-01 01-11 01-21 01-31'
has '0 3 1 1-12/3 *: Events 01-01 04-01 07-01 10-01; Cron 01-01 04-01 07-01 10-01'
has '0 3 */10 * *: Events 01-10 01-20 01-30 02-10; Cron 01-01 01-10 01-20 01-30'
has '0 3 1 */3 *: Events 03-01 06-01 09-01 12-01; Cron 01-01 03-01 06-01 09-01'
