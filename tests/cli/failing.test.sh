#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Commands that cannot do what they are asked for: one line, and the same exit code for the same reason.
. "${UPLIFT_SRCDIR:?run by make check}/tests/meta/lib.sh"

uplift=${UPLIFT_BIN:?run by make check}
work=$(mktemp -d "${TMPDIR:-/tmp}/uplift-failing.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

# wrong CODE WORDS ARGUMENT...: what is wrong unless it exits with the code and one line with the words.
wrong() {
  code=$1 words=$2
  shift 2
  "$uplift" "$@" >"$work/out" 2>"$work/err" </dev/null
  found=$?
  [ $found -eq "$code" ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
    grep -q "^uplift $1: .*$words" "$work/err" || { echo "$*: exit $found"; cat "$work/out" "$work/err"; }
}

none=$work/none
tap_none "a folder without a store is bad input to every command that reads one" \
  "$(for command in check retain compact upgrade export 'check --repair' 'audit list' 'audit verify' \
    'key list' 'key revoke x' 'key rotate x' 'replay exp' "backup $work/copy"; do
    case $command in retain) days='--days 30' ;; *) days= ;; esac
    # shellcheck disable=SC2086 # splitting is wanted
    wrong 2 'there is no store' $command $days --data "$none"
  done
  wrong 2 'there is no store' restore "$none" --data "$work/new"
  [ ! -e "$none" ] || echo "the folder was made")"

"$uplift" key create --data "$work/data" >/dev/null
tap_none "what is not there, and what does not fit what is there, is bad input too" \
  "$(wrong 2 '' key revoke nokey --data "$work/data"
    wrong 2 '' key rotate nokey --data "$work/data"
    wrong 2 '' replay noexperiment --data "$work/data"
    wrong 2 'within the data folder' backup "$work/data/copy" --data "$work/data"
    wrong 2 '' upgrade --data "$work/data"
    wrong 2 '' restore "$work/data" --data "$work/data")"

head -c 4096 /dev/zero | tr '\0' 'x' >"$work/data/data.mdb"
tap_none "a store that is no store is something wrong that was found" \
  "$(for command in check compact export 'key list' 'audit verify'; do
    # shellcheck disable=SC2086
    wrong 1 '' $command --data "$work/data"
  done)"

tap_none "a variable of blanks is none" \
  "$(UPLIFT_DATA='  ' "$uplift" check 2>&1 </dev/null | grep -q -e '--data' || echo "it was taken")"
tap_done
