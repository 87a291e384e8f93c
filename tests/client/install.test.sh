#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The library as it is installed: a program outside of the tree is built from the header, the
# libraries and the pkg-config file alone, in C, in C++ and statically, and runs; and nothing but
# the API is visible.
. "${UPLIFT_SRCDIR:?run by make check}/tests/meta/lib.sh"

if [ ! -e "$build_dir/libuplift.la" ]; then
  tap_skip "the library is usable as it is installed" "configured with --disable-client"
  tap_done
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
setting() { sed -n "s/^$1 = //p" "$build_dir/Makefile" | head -n 1; }
prefix=$(setting prefix)
lib=$root$prefix/lib

make -C "$build_dir" --no-print-directory DESTDIR="$root" libdir="$prefix/lib" install >"$root/log" 2>&1
tap_none "make install puts header, libraries, pkg-config file and manual" \
  "$(for file in include/uplift/client.h lib/libuplift.so lib/libuplift.so.0 lib/libuplift.a \
    lib/pkgconfig/libuplift.pc share/man/man3/libuplift.3; do
    [ -e "$root$prefix/$file" ] || { echo "$file is missing"; tail -n 5 "$root/log"; }
  done)"

api=$(sed -n 's/.*\(uplift_client_[a-z_]*\)(.*/\1/p' client/client.h | LC_ALL=C sort -u |
  grep -v -e '^uplift_client_options_init$')
tap_none "the shared library shows the functions of the header and nothing else" \
  "$(${NM:-nm} -D --defined-only "$lib/libuplift.so" | awk '$2 ~ /^[A-Z]$/ && $3 !~ /^__?[a-z]*san|^_/ { print $3 }' |
    LC_ALL=C sort -u >"$root/shown"
    printf '%s\n' "$api" | LC_ALL=C sort -u | diff - "$root/shown")"
tap_none "the static library shows nothing else either" \
  "$(${NM:-nm} -g --defined-only "$lib/libuplift.a" 2>/dev/null |
    awk '$2 ~ /^[A-Z]$/ && $3 !~ /^uplift_client_|san/ { print $3 }')"
tap_none "the header's names all begin with uplift" \
  "$(printf '#include <uplift/client.h>\n' | $(setting CC) -E -dM "-I$root$prefix/include" - |
    awk '{ print $2 }' | LC_ALL=C sort >"$root/with"
    printf '#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n' |
    $(setting CC) -E -dM - | awk '{ print $2 }' | LC_ALL=C sort |
    LC_ALL=C comm -13 - "$root/with" | grep -v '^UPLIFT_CLIENT')"

# What a user would type, but for the root.
PKG_CONFIG_SYSROOT_DIR=$root
PKG_CONFIG_PATH=$lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH
definitions='{"features":{"exp":{"defaultValue":"a","rules":[{"variations":["a","b"],"hashVersion":2,
  "seed":"exp","meta":[{"key":"a"},{"key":"b"}]}]}}}'
printf '%s' "$definitions" >"$root/definitions"

# builds_and_runs SENTENCE PROGRAM COMMAND...: what is wrong with it.
builds_and_runs() {
  name=$root/$2
  shift 2
  # Splitting is wanted.
  # shellcheck disable=SC2086
  "$@" -o "$name" >"$root/log" 2>&1 || { echo "does not build"; cat "$root/log"; return; }
  said=$(LD_LIBRARY_PATH=$lib "$name" "$root/definitions" - exp c-1 c-2 2>&1) || echo "exit $?"
  printf '%s\n' "$said" | grep -qE '^c-1 [ab] "[ab]" assigned$' || printf '%s\n' "$said"
}

case $(setting UPLIFT_CFLAGS) in
  *-fsanitize*)
    tap_skip "a program is built with it" "a library with a sanitizer asks the program for it too"
    ;;
  *)
    flags="-Wall -Wextra -Wconversion -Werror"
    # shellcheck disable=SC2046,SC2086
    {
      tap_none "the example is built from what is installed, and runs" \
        "$(builds_and_runs - shared $(setting CC) -std=c99 -pedantic $flags client/example.c \
          $(pkg-config --cflags --libs libuplift))"
      tap_none "it is built with the static library beside shared ones, and runs" \
        "$(builds_and_runs - static $(setting CC) -std=c11 $flags client/example.c \
          $(pkg-config --cflags libuplift) "$lib/libuplift.a" \
          $(pkg-config --libs libcurl jansson libpcre2-8) -pthread -lm)"
      if command -v g++ >/dev/null 2>&1; then
        tap_none "it is built as C++, and runs" \
          "$(builds_and_runs - plus g++ -std=c++11 -pedantic $flags -x c++ client/example.c -x none \
            $(pkg-config --cflags --libs libuplift))"
      else
        tap_skip "it is built as C++" "there is no g++"
      fi
    }
    ;;
esac
tap_done
