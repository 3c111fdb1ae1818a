#!/bin/bash
# restic 0.18.0 (Debian 13): a backup with --skip-if-unchanged that finds nothing changed says in its JSON summary that
# it took -9223372036.854776 seconds and ended in the year 1.
#
# Expected: the seconds that it took, as without --skip-if-unchanged, and as the field is documented.
# Exit code: 0 as seen, 1 where the duration is one that can be, 2 where the package could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# restic as trixie ships it, with lists of apt's own: nothing is installed, the machine's apt is left as it is
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }
mkdir -p lists/partial cache/archives/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > sources.list
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::Lists=$folder/lists"
     -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
"${apt[@]}" update && "${apt[@]}" download restic=0.18.0-1+b4 || exit 2
dpkg-deb -x restic_*.deb unpacked
restic=$folder/unpacked/usr/bin/restic

export RESTIC_REPOSITORY=$folder/repository RESTIC_PASSWORD=secret RESTIC_CACHE_DIR=$folder/cache/restic
mkdir source
echo "worth keeping" > source/letter.txt
"$restic" version
"$restic" init --quiet
"$restic" backup --quiet source
"$restic" backup --quiet source
summary=$("$restic" backup --json --skip-if-unchanged source | grep '"message_type":"summary"')
echo "$summary"
case "$summary" in
    *'"total_duration":-9223372036.854776,'*'"backup_end":"0001-01-01T00:00:00Z"'*) ;;
    *) echo "the duration is another one now"; exit 1 ;;
esac
