# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2154
#
# Everything that is tested, by ./bootstrap test, which sources this file and lends it its
# functions. A section that fails does not stop the others: one run shows all that is wrong.
# The last line is "N passed, M failed", summed over all sections.

passed=0
failed=0
skipped=0
started=$(date +%s)
check=$top/build/check
UPLIFT_SHARED_DATA=${UPLIFT_SHARED_DATA:-$top/../shared/data}
export UPLIFT_SHARED_DATA

section() {
  printf '\n== %s  (after %s s)\n' "$*" "$(($(date +%s) - started))"
}

# point SENTENCE COMMAND...: one pass or failure of its own, the output shown when it fails.
point() {
  sentence=$1
  shift
  if "$@" >"$check/point.log" 2>&1 </dev/null; then
    echo "ok - $sentence"
    passed=$((passed + 1))
  else
    tail -n 60 "$check/point.log" | sed 's/^/  /'
    echo "not ok - $sentence"
    failed=$((failed + 1))
  fi
}

# totals LOG NAME: the sum of automake's summary lines "# NAME:  n" in LOG.
totals() {
  awk -v name="$2:" '$1 == "#" && $2 == name { sum += $3 } END { print sum + 0 }' "$1"
}

# tap_run SENTENCE COMMAND...: a make whose test suite is counted point by point. A make that
# fails though no test did (it did not compile, say) counts as one failure.
tap_run() {
  sentence=$1
  shift
  log=$check/run.log
  touch "$check/.run"
  status=0
  "$@" >"$log" 2>&1 </dev/null || status=$?
  new_passed=$(($(totals "$log" PASS) + $(totals "$log" XFAIL)))
  new_failed=$(($(totals "$log" FAIL) + $(totals "$log" ERROR) + $(totals "$log" XPASS)))
  grep -E '^(FAIL|ERROR|XPASS): ' "$log" || true
  if [ "$new_failed" -gt 0 ]; then show_failures; fi
  if [ "$new_failed" -eq 0 ] && [ $status -ne 0 ]; then
    tail -n 60 "$log" | sed 's/^/  /'
    new_failed=1
  fi
  if [ "$new_failed" -eq 0 ] && [ "$new_passed" -eq 0 ]; then
    echo "  no test was run"
    new_failed=1
  fi
  new_skipped=$(totals "$log" SKIP)
  grep -E '^SKIP: ' "$log" | LC_ALL=C sort | uniq | head -n 40 || true
  echo "$sentence: $new_passed passed, $new_failed failed, $new_skipped skipped"
  passed=$((passed + new_passed))
  failed=$((failed + new_failed))
  skipped=$((skipped + new_skipped))
}

# show_failures: the logs of the tests that failed in this run.
show_failures() {
  find "$check" -name '*.trs' -newer "$check/.run" \
    -exec grep -lE '^:test-result: (FAIL|ERROR|XPASS)' {} + 2>/dev/null |
    while read -r result; do
      echo "  --- ${result%.trs}.log"
      tail -n 80 "${result%.trs}.log" | sed 's/^/  /'
    done
}

# tap_script COMMAND...: a script that prints TAP.
tap_script() {
  "$@" >"$check/script.tap" </dev/null || true
  cat "$check/script.tap"
  new_skipped=$(grep -c '^ok .*# SKIP' "$check/script.tap" || true)
  passed=$((passed + $(grep -c '^ok ' "$check/script.tap" || true) - new_skipped))
  skipped=$((skipped + new_skipped))
  failed=$((failed + $(grep -c '^not ok ' "$check/script.tap" || true)))
  if ! grep -q '^1\.\.' "$check/script.tap"; then
    echo "  it did not come to its end"
    failed=$((failed + 1))
  fi
}

make_in() {
  make_folder=$1
  shift
  make -C "$make_folder" --no-print-directory -j"$jobs" "$@"
}

# Address space layout of newer kernels leaves ThreadSanitizer of GCC 12 no room.
fixed_layout() {
  if setarch "$(uname -m)" -R true 2>/dev/null; then
    setarch "$(uname -m)" -R "$@"
  else
    "$@"
  fi
}

install_and_look() {
  root=$check/root
  rm -rf "$root"
  make_in "$check/gcc" install DESTDIR="$root" || return 1
  "$root/usr/local/bin/uplift" --version || return 1
  unit=$root/usr/local/lib/systemd/system/uplift.service
  grep -qx 'ExecStart=/usr/local/bin/uplift serve .*' "$unit" || return 1
  man_pages=$(find "$root/usr/local/share/man" -type f | wc -l)
  [ "$man_pages" -gt "$(grep -c '^COMMAND(' cli/commands.def)" ] || return 1
  # The binary that the unit names is not on this system: its absence is no finding.
  if command -v systemd-analyze >/dev/null; then
    complaints=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F 'uplift.service' |
      grep -v 'is not executable') || true
    [ -z "$complaints" ] || { echo "$complaints"; return 1; }
  fi
  make_in "$check/gcc" uninstall DESTDIR="$root" || return 1
  left=$(find "$root" -type f)
  [ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

section "what is needed"
# shellcheck disable=SC2086
need_packages $build_packages $test_packages
need_build_tools
need_node_packages
need_configure
mkdir -p "$check"
[ -d "$UPLIFT_SHARED_DATA" ] ||
  echo "  $UPLIFT_SHARED_DATA is absent: what needs it is skipped"

section "gcc, warnings as errors: build, unit tests, end to end, browser"
configure_in "$check/gcc" CC=gcc --enable-werror
point "builds with gcc without a warning" make_in "$check/gcc" all
# A million customers, and hundreds of orders of events, where nothing slows them down; fewer in
# the other sections.
UPLIFT_ASSIGN_COUNT=1000000
UPLIFT_ORDERS=300
export UPLIFT_ASSIGN_COUNT UPLIFT_ORDERS
tap_run "gcc" make_in "$check/gcc" -k check
unset UPLIFT_ASSIGN_COUNT UPLIFT_ORDERS
point "installs and uninstalls" install_and_look

section "clang, warnings as errors: build, unit tests"
configure_in "$check/clang" CC=clang --enable-werror
point "builds with clang without a warning" make_in "$check/clang" all
tap_run "clang" make_in "$check/clang" -k check-unit

# Longer under the sanitizers, which are slow.
UPLIFT_LOAD_SECONDS=10
export UPLIFT_LOAD_SECONDS

section "AddressSanitizer and UndefinedBehaviorSanitizer: unit tests, end to end"
configure_in "$check/asan" CC=gcc CFLAGS='-g -O1' --enable-asan
tap_run "asan" make_in "$check/asan" -k check-memory

# Nothing of these two is about threads.
UPLIFT_POWER_CUTS=40
UPLIFT_ORDERS=20
export UPLIFT_POWER_CUTS UPLIFT_ORDERS

section "ThreadSanitizer: the tests with threads"
configure_in "$check/tsan" CC=gcc CFLAGS='-g -O1' --enable-tsan
tap_run "tsan" fixed_layout make -C "$check/tsan" --no-print-directory -j"$jobs" -k check-threads

unset UPLIFT_LOAD_SECONDS UPLIFT_POWER_CUTS UPLIFT_ORDERS

section "make distcheck: the tarball builds, passes its tests, installs, uninstalls"
configure_in "$check/dist"
tap_run "distcheck" make_in "$check/dist" distcheck
UPLIFT_SRCDIR=$top UPLIFT_BUILDDIR=$check/dist tap_script sh tests/meta/tarball.sh

section "the Debian package in a fresh system"
tap_script sh tests/deb/package.sh "$check/dist"

section "done"
[ "$skipped" -eq 0 ] || echo "$skipped tests were skipped, each with its reason above"
if [ "$passed" -eq 0 ] && [ "$failed" -eq 0 ]; then
  echo "no test was run"
  failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
