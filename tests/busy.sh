#!/bin/bash
# Runs a command ROUNDS times in a row beside one busy loop for each core, and stops at the first time that it fails:
#   tests/busy.sh ROUNDS COMMAND...
# The loops end with this shell, however it ends, and so does the command: nothing stays behind that keeps a core busy.
set -u
rounds=$1
shift
for _ in $(seq "$(nproc)"); do
	setpriv --pdeathsig KILL sh -c 'while :; do :; done' &
done
trap 'kill -KILL $(jobs -p) 2>/dev/null' EXIT
echo "$(nproc) busy loops run beside the tests: processes" $(jobs -p)
for round in $(seq "$rounds"); do
	began=$SECONDS
	setpriv --pdeathsig INT "$@" # pytest stops as by Ctrl-C, and ends what it had started
	code=$?
	if [ "$code" != 0 ]; then
		echo "round $round of $rounds: red after $((SECONDS - began)) s, exit code $code"
		exit "$code"
	fi
	echo "round $round of $rounds: green after $((SECONDS - began)) s"
done
