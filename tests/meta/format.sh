#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Layout as .clang-format says, with the one version that CI has: others differ in details.
. "${UPLIFT_SRCDIR:?run by make check}/tests/meta/lib.sh"

sentence="every C file is laid out as clang-format 14 does"
tool=
for candidate in clang-format-14 clang-format; do
  if $candidate --version 2>/dev/null | grep -q 'version 14\.'; then
    tool=$candidate
    break
  fi
done
if [ -z "$tool" ]; then
  tap_skip "$sentence" "clang-format 14 is not installed"
else
  tap_none "$sentence" "$(own_files stats core client http cli tests -- '*.c' '*.h' |
    xargs -r "$tool" --style=file --dry-run 2>&1 | grep 'warning:' | cut -d: -f1 | sort | uniq -c)"
fi
tap_done
