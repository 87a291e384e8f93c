#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# uplift plan and uplift simulate at their edges: streams, exit codes, options, the examples of the
# manual. Figures are t_plan's matter.
set -u
uplift=${UPLIFT_BIN:?run by make check}
work=$(mktemp -d "${TMPDIR:-/tmp}/uplift-plan.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
here=$PWD
cd "$work" || exit 1

count=0
failed=0
# check SENTENCE COMMAND...: passes where the command does.
check() {
  count=$((count + 1))
  sentence=$1
  shift
  if "$@"; then
    echo "ok $count - $sentence"
  else
    echo "not ok $count - $sentence"
    sed 's/^/# out: /' out | head -n 3 | cut -c 1-300
    sed 's/^/# err: /' err | head -n 3 | cut -c 1-300
    failed=1
  fi
}

# run ARGUMENT...: standard input from ./in; leaves ./out, ./err and $status.
run() {
  "$uplift" "$@" <in >out 2>err
  status=$?
}

# The checks below are called through check: shellcheck cannot see that.
# shellcheck disable=SC2317
{
  refused() { [ "$status" -eq 2 ] && [ ! -s out ] && printf '%s\n' "$1" | cmp -s - err; }
  one_line() { [ "$status" -eq 2 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ]; }
  same_as() { [ "$status" -eq 0 ] && cmp -s out "$1"; }
  other_than() { [ "$status" -eq 0 ] && ! cmp -s out "$1"; }
  answers() { [ "$status" -eq 0 ] && [ ! -s err ] && grep -q "$1" out; }
  answers_without() { [ "$status" -eq 0 ] && [ ! -s err ] && ! grep -q "$1" out; }
  has_answers() { [ "$status" -eq 0 ] && [ "$(grep -c '"per_arm": \[' out)" -eq "$1" ] && [ ! -s err ]; }
  helped() { [ "$status" -eq 0 ] && grep -q "^Usage: uplift $1 " out; }
}

plan='"kind": "binary", "baseline": {"rate": 0.1}, "min_effect": 0.2'
printf '{%s}' "$plan" >in
run plan
check "a plan from standard input is answered" answers '"total": '
check "without a simulation" answers_without '"simulation"'
mv out first
cp in file.json
: >in
run plan file.json
check "a plan from a file has the same answer" same_as first
cp file.json in
run plan -
check "- is standard input" same_as first

run simulate --runs 50 --looks 5 --seed 3
check "simulate runs it" answers '"runs": 50,'
check "and tells the seed" answers '"seed": 3,'
mv out simulated
run simulate --runs 50 --looks 5 --seed 3
check "the same seed gives the same report" same_as simulated
run simulate --runs 50 --looks 5 --seed 4
check "another seed another one" other_than simulated
printf '{%s, "simulate": {"runs": 7, "looks": 5, "seed": 3}}' "$plan" >in
run simulate --runs 50
check "options stand above the plan" same_as simulated
run plan
check "plan simulates where the plan says so" answers '"runs": 7,'
cp file.json in
UPLIFT_RUNS=9 run simulate
check "options may come from variables" answers '"runs": 9,'
check "a seed that is drawn is told" answers '"seed": [1-9]'

printf '{%s, "alpha": 2}' "$plan" >in
run plan
check "a bad plan is one line that names the place" \
  refused 'uplift plan: alpha: must be between 0 and 0.5, both excluded'
run simulate
check "for simulate too" refused 'uplift simulate: alpha: must be between 0 and 0.5, both excluded'
printf '{%s, "simulate": 5}' "$plan" >in
run simulate --runs 5
check "a simulation that is no object is refused" \
  refused 'uplift simulate: simulate: must be an object'
printf '[]' >in
run simulate --runs 5
check "a plan that is no object is refused" refused 'uplift simulate: must be an object'
printf '{\n  "kind"' >in
run plan
check "text that is not JSON names line and column" \
  refused 'uplift plan: line 2, column 8: ends too early'
: >in
run plan
check "no text at all is not JSON either" one_line
printf '%1100000s' '{}' >in
run plan
check "a plan past 1 MiB is refused" refused 'uplift plan: the input is larger than 1 MiB'
run plan no-such-file.json
check "a file that is not there is named" \
  refused 'uplift plan: cannot open no-such-file.json: No such file or directory'
run plan .
check "a folder is refused" one_line
run simulate --runs 0
check "no runs are refused" one_line
run plan one.json two.json
check "a second file is refused" one_line
run plan --help
check "plan --help tells how to use it" helped plan
run simulate --help
check "simulate --help tells how to use it" helped simulate

# The examples of the manual are run as they stand there.
for command in plan simulate; do
  page=${UPLIFT_SRCDIR:-$here}/doc/man/uplift-$command.1
  {
    printf '%s\n' 'uplift() { "$UPLIFT_BIN" "$@"; }'
    awk '$1 == ".fi" { on = 0 } on { print } $1 == ".nf" { on = 1 }' "$page" | sed 's/\\-/-/g'
  } >examples
  sh examples >out 2>err
  status=$?
  check "every example of uplift-$command(1) is answered" has_answers "$(grep -c '^\.nf' "$page")"
done

echo "1..$count"
exit $failed
