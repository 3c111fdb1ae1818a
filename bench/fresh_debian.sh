#!/usr/bin/env bash
# fresh_debian.sh SUITE [COMMAND...]: runs the commands in a clone of this repository in a Debian SUITE (bookworm,
# trixie) that has nothing but make, git and python3, with an empty home; prints how long each took.
# Without commands: `make demo ARGS=--once` and `make test`. Ends with 0 when all of them did. What is not committed is
# not tested. FRESH_DIR=FOLDER keeps the Debian there and takes it again the next time (the clone is a new one).
#
# Needs root, and installs debootstrap where it is missing. The mirror, proxy and pip settings are those of this
# machine, read when it runs. Mounts and processes live in namespaces of their own, so they end with it, however it
# ends; nothing of the machine is mounted into the folder that is removed.
set -euo pipefail

suite=${1:?usage: fresh_debian.sh bookworm|trixie [COMMAND...]}
shift
[ $# -gt 0 ] || set -- "make demo ARGS=--once" "make test"
repository=$(cd "$(dirname "$0")/.." && git rev-parse --show-toplevel)
[ "$(id -u)" = 0 ] || { echo "This takes root: it makes a Debian in a folder and enters it." >&2; exit 2; }
command -v debootstrap >/dev/null || { apt-get update -q && apt-get install -y -q debootstrap; } >/dev/null

child=
finish() {
    trap '' INT TERM
    [ -z "$child" ] || { kill -KILL "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; }
    rm -f "$root.log"
    [ -n "${FRESH_DIR-}" ] || rm -rf --one-file-system "$root"
}
root=${FRESH_DIR:-$(mktemp -d "${TMPDIR:-/var/tmp}/fresh-$suite.XXXXXX")}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# In the background and waited for, so that a signal to this script is heard at once.
alone() {
    unshare --mount --propagation private --pid --fork --kill-child "$@" </dev/null &
    child=$!
    local code=0
    wait "$child" || code=$?
    child=
    return "$code"
}

mirrors() { # those of this machine's apt, the main one first
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | grep -v snapshot | sort -u
}
[ -n "$(mirrors)" ] || apt-get update -q >/dev/null
main=$(mirrors | grep -v security | head -n 1)
security=$(mirrors | grep security | head -n 1) || true
[ -n "$main" ] || { echo "This machine's apt knows no Debian mirror." >&2; exit 2; }

began=$SECONDS
if [ ! -e "$root/made" ]; then
    mkdir -p "$root"
    if ! alone debootstrap --variant=minbase --include=make,git,python3,ca-certificates "$suite" "$root" "$main" >"$root.log" 2>&1; then
        tail -n 20 "$root.log" >&2
        exit 2
    fi
    chmod 755 "$root" # it becomes `/`, which every user may enter; mktemp made it for one alone
    touch "$root/made"
fi
echo "Debian $suite in $root, made in $((SECONDS - began)) s"

# What it takes to reach mirror and package index from here: name resolution, apt's and pip's settings, certificates.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
{ echo "deb $main $suite main"; [ -z "$security" ] || echo "deb $security $suite-security main"; } >"$root/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-|Retries)' >"$root/etc/apt/apt.conf.d/90machine" || true
pip_setting() { # the environment's is listed first, and wins in pip; indexes in files are this machine's alone
    python3 -m pip config list 2>/dev/null | sed -n "s/^[a-z:]*[.]$1='\(.*\)'\$/\1/p" | grep -v file: | head -n 1
}
: >"$root/etc/pip.conf"
for name in index-url extra-index-url trusted-host proxy cert timeout default-timeout; do
    value=$(pip_setting "$name") || continue
    [ -n "$value" ] || continue
    [ "$(wc -c <"$root/etc/pip.conf")" -gt 0 ] || echo "[global]" >>"$root/etc/pip.conf"
    if [ "$name" = cert ]; then
        mkdir -p "$root/etc/machine" && cp -L "$value" "$root/etc/machine/certificates.pem"
        value=/etc/machine/certificates.pem
    fi
    echo "$name = $value" >>"$root/etc/pip.conf"
done
proxies=()
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name-}" ] || proxies+=("$name=${!name}")
done

rm -rf "$root/root/restic-manager"
git clone --quiet --no-hardlinks "$repository" "$root/root/restic-manager"

# First process of its namespace: mounts what a Debian has mounted, then runs one command as root would in a login.
enter='
set -eu
root=$1; shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0 1 2; do ln -s /proc/self/fd/$number "$root/dev/$(echo stdin stdout stderr | cut -d" " -f$((number + 1)))"; done
chroot "$root" "$@" &
code=0; wait $! || code=$?
exit $code
'
failed=0
for command in "$@"; do
    began=$SECONDS code=0
    echo "== $suite: $command"
    alone bash -c "$enter" enter "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 ${CI+CI="$CI"} ${proxies[@]+"${proxies[@]}"} sh -c "cd /root/restic-manager && $command" || code=$?
    echo "== $suite: $command: ended with $code after $((SECONDS - began)) s"
    [ "$code" = 0 ] || failed=1
done
exit $failed
