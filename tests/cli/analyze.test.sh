#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# uplift analyze at its edges: streams, exit codes, lines, limits. Figures are t_study's matter.
set -u
uplift=${UPLIFT_BIN:?run by make check}
work=$(mktemp -d "${TMPDIR:-/tmp}/uplift-analyze.XXXXXX") || exit 1
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
  "$uplift" analyze "$@" <in >out 2>err
  status=$?
}

# Called through check, which shellcheck cannot see.
# shellcheck disable=SC2317
# refused MESSAGE: exit 2, nothing on standard output, just this line on standard error.
refused() {
  [ "$status" -eq 2 ] && [ ! -s out ] && printf '%s\n' "$1" | cmp -s - err
}

study() { # study SUM: one good study on one line
  printf '%s%s%s\n' '{"variants": [{"key": "a"}, {"key": "b"}], "metrics": [{"key": "m", ' \
    '"kind": "binary", "arms": [{"n": 1000, "sum": 100}, {"n": 1012, "sum": ' "$1}]}]}"
}

# The checks below are called through check: shellcheck cannot see that.
# shellcheck disable=SC2317
{
  wrote_a_report() { [ "$status" -eq 0 ] && grep -q '"p_value"' out && [ ! -s err ]; }
  has_lines() { [ "$status" -eq 0 ] && [ "$(wc -l <out)" -eq "$1" ] && [ ! -s err ]; }
  has_reports() { [ "$status" -eq 0 ] && [ "$(grep -c '"metrics": \[' out)" -eq "$1" ] && [ ! -s err ]; }
  ended_at_line_3() {
    [ "$status" -eq 2 ] && [ "$(wc -l <out)" -eq 2 ] &&
      printf '%s\n' "$1" | cmp -s - err
  }
  one_short_line() {
    [ "$status" -eq 2 ] && [ ! -s out ] && [ "$(wc -l <err)" -eq 1 ] && [ "$(wc -c <err)" -lt 1000 ] &&
      [ -z "$(LC_ALL=C tr -d '\n\040-\176\200-\377' <err)" ]
  }
  same_as() { [ "$status" -eq 0 ] && cmp -s out "$1"; }
  helped() { [ "$status" -eq 0 ] && grep -q '^Usage: uplift analyze \[FILE\] \[--lines\]$' out; }
}

study 130 >in
run
check "a study from standard input gives a report" wrote_a_report
mv out first
cp in file.json
: >in
run file.json
check "a study from a file gives the same report" same_as first
study 130 >in
run -
check "- is standard input" same_as first

study 1013 >in
run
check "a bad study is one line that names the place" \
  refused 'uplift analyze: metrics[0].arms[1].sum: must not exceed n for a binary metric'
printf '{\n  "variants": [],\n  "metric' >in
run
check "text that is not JSON names line and column" \
  refused 'uplift analyze: line 3, column 9: ends too early'
: >in
run
check "no text at all is not JSON either" one_short_line
printf '{}{}' >in
run
check "a second document is refused" one_short_line
printf '{"variants": [], "variants": []}' >in
run
check "a repeated field is refused" one_short_line
printf '{"a\000b": 1}' >in
run
check "a zero byte is refused" one_short_line
printf '{"\377": 1}' >in
run
check "bytes that are not UTF-8 are refused" one_short_line
# shellcheck disable=SC2034 # only counted
{ for level in 1 2 3 4 5; do printf '%2000s' ''; done | tr ' ' '['; } >in
run
check "10,000 levels of nesting are refused" one_short_line
{ printf '{"'; printf '%60000s' '' | tr ' ' 'x'; printf '\\u0007\\u001b[31m": 1}'; } >in
run
check "a name of 60,000 bytes with control characters makes a short line of plain text" \
  one_short_line
study 'NaN' >in
run
check "NaN is not JSON" one_short_line
study '1e999' >in
run
check "a number past a double is refused" one_short_line
run no-such-file.json
check "a file that is not there is named" \
  refused 'uplift analyze: cannot open no-such-file.json: No such file or directory'
run .
check "a folder is refused" one_short_line
run --line
check "an unknown option is refused" one_short_line
run one.json two.json
check "a second file is refused" one_short_line
run --help
check "--help tells how to use it" helped

{ study 130; study 100; study 90; } >in
run --lines
check "--lines gives one report a line" has_lines 3
printf '%s' "$(cat in)" >in.short && mv in.short in
run --lines
check "the last line needs no newline" has_lines 3
: >in
run --lines
check "no line gives no report" has_lines 0
{ study 130; study 100; study 1013; study 90; } >in
run --lines
check "a bad line ends it, with its number, after the reports before it" \
  ended_at_line_3 \
  'uplift analyze: line 3: metrics[0].arms[1].sum: must not exceed n for a binary metric'
{ study 130; study 100; echo '{"a":'; study 90; } >in
run --lines
check "a line that is not JSON names its column" \
  ended_at_line_3 'uplift analyze: line 3, column 5: ends too early'
{ study 130; study 100; printf '%9000000s\n' '{}'; } >in
run --lines
check "a line past 8 MiB ends it" ended_at_line_3 'uplift analyze: line 3: is longer than 8 MiB'
printf '%68000000s' '{}' >in
run
check "a study past 64 MiB is refused" \
  refused 'uplift analyze: the study is larger than 64 MiB'

# The examples of the manual are run as they stand there.
page=${UPLIFT_SRCDIR:-$here}/doc/man/uplift-analyze.1
{
  printf '%s\n' 'uplift() { "$UPLIFT_BIN" "$@"; }'
  awk '$1 == ".fi" { on = 0 } on { print } $1 == ".nf" { on = 1 }' "$page" | sed 's/\\-/-/g'
} >examples
sh examples >out 2>err
status=$?
check "every example of the manual gives a report" has_reports "$(grep -c '^\.nf' "$page")"

echo "1..$count"
exit $failed
