# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# What the meta tests share: TAP, and the list of the project's own files. Sourced, with the
# working folder then being the top of the sources, so that findings read "core/error.c:12".

set -u
source_dir=${UPLIFT_SRCDIR:?run by make check}
# shellcheck disable=SC2034 # used by those who source this
build_dir=${UPLIFT_BUILDDIR:?run by make check}
cd "$source_dir" || exit 1

tap_count=0
tap_failed=0

# tap_none SENTENCE FINDINGS: passes when FINDINGS is empty, else shows them.
tap_none() {
  tap_count=$((tap_count + 1))
  if [ -z "$2" ]; then
    echo "ok $tap_count - $1"
  else
    echo "not ok $tap_count - $1"
    printf '%s\n' "$2" | sed 's/^/# /'
    tap_failed=1
  fi
}

# tap_skip SENTENCE REASON
tap_skip() {
  tap_count=$((tap_count + 1))
  echo "ok $tap_count - $1 # SKIP $2"
}

tap_done() {
  echo "1..$tap_count"
  exit $tap_failed
}

# own_files FOLDER... [-- PATTERN...]: the project's files below the folders, sorted; what
# builds and npm leave in a source tree is left out.
own_files() {
  own_folders=
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    own_folders="$own_folders $1"
    shift
  done
  [ $# -gt 0 ] && shift
  own_names='-name *'
  if [ $# -gt 0 ]; then
    own_names="-name $1"
    shift
    while [ $# -gt 0 ]; do
      own_names="$own_names -o -name $1"
      shift
    done
  fi
  set -f
  # Splitting is wanted: both are lists of words without blanks.
  # shellcheck disable=SC2086
  find $own_folders \( -name node_modules -o -name .deps -o -name .dirstamp \
    -o -name '*.o' -o -name '*.log' -o -name '*.trs' -o -name embedded.c -o -name '.?*' \) -prune \
    -o -type f \( $own_names \) -print 2>/dev/null | LC_ALL=C sort
  set +f
}

# code_of FILE...: "file:line:text" with comments and the insides of literals blanked, so that
# a word in a sentence is not taken for an identifier.
code_of() {
  awk -f tests/meta/code.awk "$@" /dev/null
}

# identifiers_of FILE...: "file:line:identifier", one a line, from code_of.
identifiers_of() {
  code_of "$@" | awk '{
    if (!match($0, /^[^:]*:[0-9]+:/)) next
    place = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1)
    if (rest ~ /^[ \t]*#[ \t]*include/) next
    while (match(rest, /[A-Za-z_][A-Za-z_0-9]*/)) {
      print place substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
    }
  }'
}
