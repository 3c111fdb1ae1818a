#!/bin/sh
# cronicle 0.4.0 sorts backups into folders for hours, days, weeks, months and years, and keeps so many of each. Of those for
# years and hours it ever keeps the first alone: it waits for a difference of twelve months, but that is one year and no
# months, and for one of an hour between two dates, which have none. With `-r` the backups that `yearly` was to keep are
# deleted. A weekly one that comes a month and a few days after the last is left out too, for a "too short delay".
#
# Expected: with `yearly: 5` one backup of each of five years: by its README the numbers say how many are kept for each
# hour, day, week, month and year. Those for months are right.
# Exit code: 0 as seen, 1 where it does, 2 where the packages could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{ python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --disable-pip-version-check cronicle==0.4.0 \
    click==8.5.1 click-log==0.4.0 confuse==2.3.0 ordereddict==1.1 python-dateutil==2.9.0.post0 PyYAML==6.0.4 six==1.17.0; } || exit 2
cd "$folder"
mkdir -p home/.config/cronicle months weeks hours
cat > home/.config/cronicle/config.yaml <<Y
$folder/months/*.dump:
    monthly: 12
    yearly: 5
$folder/weeks/*.dump:
    weekly: 4
$folder/hours/*.dump:
    hourly: 24
Y
dump() { echo "$2" > "$1/$2.dump" && touch -d "$3" "$1/$2.dump"; }
for year in 2022 2023 2024 2025 2026; do
    for month in 01 02 03 04 05 06 07 08 09 10 11; do dump months $year-$month "$year-$month-01 03:00"; done
done
dump weeks 1 '2026-09-01 03:00'
dump weeks 2 '2026-10-05 03:00'
for hour in 01 02 03; do dump hours $hour "2026-11-01 $hour:00"; done
dump hours next-day '2026-11-02 04:00'

# Oldest first, as if it were called after each backup.
env -u XDG_CONFIG_HOME HOME="$folder/home" LC_ALL=C.UTF-8 venv/bin/cronicle -r months/*.dump weeks/*.dump hours/*.dump > said 2>&1 \
    || { cat said; exit 1; }
grep 'weeks.*too short delay' said || true
for kind in months/MONTHLY months/YEARLY weeks/WEEKLY hours/HOURLY; do echo "$kind: $(ls "$kind" | tr '\n' ' ')"; done
echo "backups that are left of 55: $(ls -d months/*.dump | wc -l)"
[ "$(ls months/MONTHLY | wc -l)" = 12 ] || exit 1
[ "$(ls months/YEARLY)" = 2022-01.dump ] && [ "$(ls weeks/WEEKLY)" = 1.dump ] && [ "$(ls hours/HOURLY)" = 01.dump ] \
    && [ ! -e months/2024-01.dump ] || exit 1
