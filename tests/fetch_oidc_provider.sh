#!/usr/bin/env bash
# fetch_oidc_provider.sh DIR: installs the OpenID provider that signing in is tried with into DIR, from npm. Version 8 is
# the last that runs with the Node of Debian 12 (18). Where Node is missing, root gets Debian's. What
# cannot be had is said and left out; the tests that need it are skipped.
set -u
mkdir -p "$1"
into=$(cd "$1" && pwd)
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        get() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nodejs npm >/dev/null 2>&1; }
        get || { apt-get update -q >/dev/null 2>&1 && get; }
    fi
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "The tests with a real OpenID provider need Node. Type: sudo apt-get install nodejs npm" >&2
    exit 0
fi
npm install --no-audit --no-fund --no-save --silent --prefix "$into" oidc-provider@8.8.1 >/dev/null 2>&1 ||
    echo "npm's oidc-provider cannot be fetched here: the tests with a real OpenID provider are left out." >&2
touch "$into"
