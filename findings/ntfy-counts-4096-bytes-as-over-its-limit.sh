#!/bin/bash
# ntfy 2.11.0 (Debian trixie) and 2.27.0 (sid), `message-size-limit` as it comes (4K): a message of exactly 4,096 bytes
# is over the limit. Without attachments it is refused (400, error 40014), with them it becomes a file of 4,096 bytes.
# 4,095 bytes are a message.
#
# Expected: a limit of 4,096 bytes is kept by 4,096 bytes. Who shortens to the documented number loses the longest
# messages, or sees them as "You received a file: attachment.txt".
# Exit code: 0 as seen, 1 where 4,096 bytes are a message, 2 where a package could not be had.
set -eu
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$folder"' EXIT
cd "$folder"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }

# fetch SUITE VERSION: ntfy as that suite ships it, with lists of apt's own: nothing is installed
fetch() {
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    : > "$1/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > "$1/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/$1/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::Lists=$folder/$1/lists" -o "Dir::State::status=$folder/$1/status" -o "Dir::Cache=$folder/$1/cache"
        -o APT::Sandbox::User= -o Acquire::Languages=none)
    "${apt[@]}" update && (cd "$1" && "${apt[@]}" download "ntfy=$2") && dpkg-deb -x "$1"/ntfy_*.deb "$1/unpacked"
}

# post BYTES: the status of a message of that length, and what was stored or refused
post() {
    head -c "$1" /dev/zero | tr '\0' x | curl -s -w '\n%{http_code}' --data-binary @- "http://127.0.0.1:$port/t" |
        python3 -c 'import json, sys
body, status = sys.stdin.read().rsplit("\n", 1)
found = json.loads(body)
print(status, found.get("error") or ("file of %d bytes" % found["attachment"]["size"] if "attachment" in found else "message"))'
}

as_seen=0
for release in "trixie 2.11.0-2+b4" "sid 2.27.0-1"; do
    read -r suite version <<< "$release"
    fetch "$suite" "$version" || exit 2
    for files in no yes; do
        where=$folder/files
        [ $files = yes ] || where=
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        rm -f cache.db
        printf 'listen-http: "127.0.0.1:%s"\nbase-url: "http://127.0.0.1:%s"\ncache-file: "%s/cache.db"\nattachment-cache-dir: "%s"\n' \
            "$port" "$port" "$folder" "$where" > server.yml
        "$suite/unpacked/usr/bin/ntfy" serve --config server.yml > log 2>&1 &
        server=$!
        for _ in $(seq 100); do curl -s -o answer "http://127.0.0.1:$port/v1/health" && break; sleep 0.1; done
        shorter=$(post 4095) exact=$(post 4096)
        echo "ntfy $version, attachments: $files. 4,095 bytes: $shorter; 4,096 bytes: $exact"
        [ "$shorter" = "200 message" ] || as_seen=1
        [ "$exact" != "200 message" ] || as_seen=1
        kill "$server"
        wait "$server" || true
        server=
    done
done
exit "$as_seen"
