#!/bin/bash
# systemd 252 (Debian bookworm, 252.39-1~deb12u2; 257 of trixie does the same): days counted from the end of the month may
# be 1 to 28, each alone, but in a list the second may be at most 25, the third at most 22, and so on, three less for each.
# `*-*~16` and `*-*~27` are taken, and `*-*~16,27` is "Invalid argument".
#
# Expected: a list of values that are valid is valid.
# Exit code: 0 as seen, 1 where the list is taken, 2 where the package could not be had.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }

# Packages of bookworm, unpacked and not installed, with lists of apt's own.
mkdir -p lists/partial cache/archives/partial
: > status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" > sources.list
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$folder/lists" -o "Dir::State::status=$folder/status" -o "Dir::Cache=$folder/cache"
    -o APT::Sandbox::User= -o Acquire::Languages=none)
"${apt[@]}" update && "${apt[@]}" download systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2 || exit 2
for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done
libraries=$(dirname "$(find "$folder/unpacked" -name 'libsystemd-shared-252.so')")

taken=
for days in 16 27 24,25 16,25 16,27 05,19,22 05,19,25; do
    if LC_ALL=C LD_LIBRARY_PATH=$libraries unpacked/usr/bin/systemd-analyze calendar "*-*~$days" > said 2>&1; then
        taken="$taken $days"
        echo "*-*~$days: taken"
    else
        echo "*-*~$days: $(cat said)"
    fi
done
case $taken in
*16,27* | *05,19,25*) exit 1 ;;
" 16 27 24,25 16,25 05,19,22") exit 0 ;;
*) exit 2 ;;
esac
