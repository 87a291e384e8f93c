#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every file that git tracks is in the tarball that "make dist" wrote. Run by ./bootstrap test
# after make distcheck: inside distcheck itself there is neither git nor a tarball.
. "${UPLIFT_SRCDIR:?}/tests/meta/lib.sh"

tarball=$(find "$build_dir" -maxdepth 1 -name 'uplift-*.tar.xz' | head -n 1)
sentence="every tracked file is in the tarball"
if [ -z "$tarball" ]; then
  tap_none "there is a tarball" "no uplift-*.tar.xz in $build_dir"
elif ! git rev-parse --git-dir >/dev/null 2>&1; then
  tap_skip "$sentence" "this is no git checkout"
else
  listing=$(mktemp)
  tar -tf "$tarball" | sed 's,^[^/]*/,,' | LC_ALL=C sort >"$listing"
  tap_none "$sentence" "$(git ls-files | grep -vE '^(\.ci/|\.gitignore$)' | LC_ALL=C sort |
    LC_ALL=C comm -23 - "$listing")"
  tap_none "the tarball carries the built page" \
    "$(grep -qx 'ui/embedded.c' "$listing" || echo 'ui/embedded.c is missing')"
  tap_none "the tarball carries nothing that npm or a build left" \
    "$(grep -E '(^|/)(node_modules|\.deps|autom4te\.cache)/|\.(o|log|trs)$' "$listing")"
  rm -f "$listing"
fi
tap_done
