#!/bin/bash
# restic 0.19.1 (Debian sid; 0.14.0 and 0.18.0 likewise): `find NAME` lists everything below a folder of that name.
#
# Expected: what has that name, as of find(1) and as the manual says: "searches for files or directories". restic matches
# as for excludes, where a pattern that matches a folder holds for all in it. "hits" counts these as well.
# Seen: a search for `notes`, where one folder has that name, gives the folder and each file in it, at any depth.
# Exit code: 0 as seen, 1 where only what has the name is listed, 2 where the package could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# restic as sid ships it, with lists of apt's own: nothing is installed, the machine's apt is left as it is
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }
mkdir -p lists/partial cache/archives/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > sources.list
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::Lists=$folder/lists"
     -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
"${apt[@]}" update && "${apt[@]}" download restic=0.19.1-1 || exit 2
dpkg-deb -x restic_*.deb unpacked
restic=$folder/unpacked/usr/bin/restic

export RESTIC_PASSWORD=secret RESTIC_CACHE_DIR=$folder/cache/restic RESTIC_REPOSITORY=$folder/repository
mkdir -p source/notes/2025
echo "worth keeping" > source/notes/letter.txt
echo "worth keeping" > source/notes/2025/diary.txt
"$restic" version
"$restic" init --quiet
"$restic" backup --quiet source
"$restic" find --json notes > out
cat out
grep -q '"path":"/source/notes"' out || { echo "the folder is not found"; exit 1; }
grep -q '"path":"/source/notes/2025/diary.txt".*"hits":4,' out || { echo "what is below it is not listed any more"; exit 1; }
