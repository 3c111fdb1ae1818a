#!/usr/bin/env bash
# fetch_provisioning.sh DIR [PIP]: what enrolls machines that nobody sits at, to try the examples of deploy/ with: cloud-init
# with its libraries as Debian ships it, unpacked into DIR/cloud-init, and ansible-core from the package index in DIR/ansible.
# Nothing is installed on this machine. What cannot be fetched is said and left out; a test that needs it is skipped.
set -u
mkdir -p "$1"
into=$(cd "$1" && pwd)
pip=$(realpath -s "${2:-pip}")
work=$(mktemp -d "$into.XXXXXX")
trap 'rm -rf "$work"' EXIT

libraries() { # of cloud-init, but for those that are large and that it needs for clouds alone
    apt-cache depends --recurse --important cloud-init | grep -E '^python3-' | sort -u | grep -vE '^python3-(minimal|cryptography|cffi.*|jwt)$'
}
get() {
    # shellcheck disable=SC2046 # names of packages have no spaces
    cd "$work" && apt-get -q -o APT::Sandbox::User= download cloud-init $(libraries) >log 2>&1
}
if [ ! -e "$into/cloud-init" ]; then
    if (get) || { [ "$(id -u)" = 0 ] && apt-get update -q >/dev/null 2>&1 && (get); }; then
        for deb in "$work"/*.deb; do dpkg -x "$deb" "$work/root"; done
        mv "$work/root" "$into/cloud-init"
    else
        echo "cloud-init cannot be fetched from Debian: $(tail -n 1 "$work/log")" >&2
    fi
fi
if [ ! -e "$into/ansible" ]; then
    if "$pip" install --quiet --disable-pip-version-check --target "$work/ansible" 'ansible-core>=2.18' >"$work/log" 2>&1; then
        mv "$work/ansible" "$into/ansible"
    else
        echo "ansible-core cannot be fetched: $(tail -n 1 "$work/log")" >&2
    fi
fi
touch "$into" # newer than this file: make looks at that
