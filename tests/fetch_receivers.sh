#!/usr/bin/env bash
# fetch_receivers.sh DIR: unpacks the receivers that notifications are tried with, as Debian ships them, each into
# DIR/NAME, and PostgreSQL where none is installed. Nothing is installed, no service starts, and nothing of this machine's apt changes: lists and cache lie in a
# folder that is removed at the end. The packages come from the mirror that apt uses here already. What cannot be
# fetched is said and left out; a test that needs it is skipped, and fails where CI=true.
set -u
mkdir -p "$1"
into=$(cd "$1" && pwd) # apt-get is told folders while another one is the current one
work=$(mktemp -d "$into.XXXXXX") # beside it: programs can be run there, which is not so in every /tmp
trap 'rm -rf "$work"' EXIT
here=$(. /etc/os-release && echo "$VERSION_CODENAME")

mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        grep -v -e security -e snapshot | sort -u | head -n 1
}

base=$(mirror)
if [ -z "$base" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -q >/dev/null 2>&1
    base=$(mirror)
fi
if [ -z "$base" ]; then
    echo "No Debian mirror is known here: the tests with real receivers are left out." >&2
    exit 0
fi

# libraries PACKAGE...: the libraries that these need, and those need, but for libc, which must be the machine's own, and
# for a compiler of 100 MB that PostgreSQL does without. `postgresql` is the name of the suite's version.
libraries() {
    local all=("$@") before=0
    while [ "$before" != "${#all[@]}" ]; do
        before=${#all[@]}
        mapfile -t all < <({
            printf '%s\n' "${all[@]}"
            apt-cache "${options[@]}" depends --no-recommends --no-suggests "${all[@]}" |
                sed -nE 's/^ [ |](Pre)?Depends: (lib[^ ]*|postgresql-[0-9]+)$/\2/p'
        } | grep -v -e '^libc6$' -e '-perl$' -e '^libperl' -e '^libllvm' -e debian-installer | sort -u)
    done
    printf '%s\n' "${all[@]}"
}

# unpack [--with-libraries] NAME SUITE PACKAGE...: these packages of a suite, into DIR/NAME
unpack() {
    local whole=
    [ "$1" != --with-libraries ] || { whole=1 && shift; }
    local name=$1 suite=$2 root=$work/$2
    shift 2
    [ ! -e "$into/$name" ] || return 0
    mkdir -p "$root/lists/partial" "$root/cache/archives/partial" "$work/new/$name"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $base $suite main" >"$root/sources.list"
    : >"$root/status" # as if nothing were installed: a newer package that is would hide the one of an older suite
    local options=(-o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o "Dir::State::status=$root/status" -o "Dir::State::Lists=$root/lists" -o "Dir::Cache=$root/cache"
        -o APT::Sandbox::User= -o Acquire::Languages=none
        -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30)
    [ -e "$root/updated" ] || { apt-get "${options[@]}" update -q >"$work/log" 2>&1 && touch "$root/updated"; }
    # shellcheck disable=SC2046 # names of packages have no spaces
    [ -z "$whole" ] || set -- $(libraries "$@")
    if (cd "$work/new/$name" && apt-get "${options[@]}" download -q "$@" && for deb in *.deb; do dpkg -x "$deb" . || exit 1; done && rm ./*.deb) >>"$work/log" 2>&1; then
        mv "$work/new/$name" "$into/$name"
    else
        echo "$name cannot be fetched from Debian $suite: $(tail -n 1 "$work/log")" >&2
    fi
}

unpack ntfy trixie ntfy # 2.11
unpack ntfy-sid sid ntfy # what is newest: 2.27, which updates messages
unpack webhook "$here" webhook # of adnanh
unpack alertmanager "$here" prometheus-alertmanager
# Of the machine's own release, whose libc they run with; nss-wrapper gives them the users that their packages would make.
unpack --with-libraries mail "$here" postfix exim4-daemon-light exim4-base dovecot-core libnss-wrapper
ls /usr/lib/postgresql/1[5-9]/bin/initdb >/dev/null 2>&1 || unpack --with-libraries postgresql "$here" postgresql
touch "$into" # newer than this file: make looks at that
