#!/bin/bash
# restic 0.19.1 (Debian sid; 0.14.0 and 0.18.0 do so too): `restore --verify` verifies not one file where any file made
# an error, and does not say so. The other files are restored, and counted as restored.
#
# Expected: the files that were restored are verified, and the one that was not is an error besides. One file that cannot
# be written, or one owner that cannot be set, is enough: who reads "Fatal: There were 1 errors" takes the others for
# verified.
# Exit code: 0 as seen, 1 where files are verified behind an error, 2 where the package could not be had.
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

export RESTIC_PASSWORD=secret RESTIC_REPOSITORY=$folder/repository RESTIC_CACHE_DIR=$folder/cache-of-restic
mkdir source
for name in a b c; do echo "$name" > "source/$name"; done
"$restic" init --quiet
"$restic" backup --quiet source
"$restic" version

echo "--- all can be written:"
"$restic" restore latest --verify --target good | tee good.txt

echo "--- a folder that is not empty stands where c belongs:"
mkdir -p bad/source/c/something
"$restic" restore latest --verify --target bad 2>&1 | tee bad.txt || true

grep -q "finished verifying 3 files" good.txt || { echo "it verified nothing even so"; exit 1; }
grep -q "There were 1 errors" bad.txt || { echo "there was no error"; exit 1; }
cmp source/a bad/source/a
if grep -q "verifying" bad.txt; then
    echo "files are verified behind an error"
    exit 1
fi
echo "a and b were restored and not verified"
