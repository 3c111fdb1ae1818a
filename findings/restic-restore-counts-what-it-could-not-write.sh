#!/bin/bash
# restic 0.18.0 (Debian 13): a restore that cannot write its files (here: larger than the file size limit; the same on a
# full disk) says in its summary that all files and all bytes were restored, while a third of the bytes is not there.
#
# Expected: files_restored and bytes_restored without what could not be written, as the errors before it say.
# Exit code: 0 as seen, 1 where the summary tells, 2 where the package could not be had.
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
head -c 3000000 /dev/urandom > source/one
head -c 3000000 /dev/urandom > source/two
"$restic" version
"$restic" init --quiet
"$restic" backup --quiet source
said=$(trap '' XFSZ; ulimit -f 2000; "$restic" restore latest --json --target restored 2> errors || echo "exit code $?")  # blocks of 1 KiB
said=$(echo "$said" | grep -v '"message_type":"status"')
echo "$said"
sort -u errors
written=$(($(stat -c %s restored/source/one) + $(stat -c %s restored/source/two)))
echo "bytes there: $written of 6000000"
[ "$written" -lt 6000000 ] || { echo "the limit did not bite"; exit 1; }
case "$said" in
    *'"files_restored":3,"total_bytes":6000000,"bytes_restored":6000000'*'exit code 1') ;;
    *) echo "the summary says something else now"; exit 1 ;;
esac
