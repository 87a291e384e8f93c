#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Who may call whom (ARCHITECTURE.md): cli -> http -> core -> stats, by includes and by symbols.
. "${UPLIFT_SRCDIR:?run by make check}/tests/meta/lib.sh"

# includes_in FOLDER PATTERN: include lines below FOLDER whose name matches.
includes_in() {
  own_files "$1" -- '*.c' '*.h' '*.def' |
    xargs -r grep -HnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)"
}

tap_none "stats includes nothing of the layers above" "$(includes_in stats '(core|http|cli|ui)/')"
tap_none "stats includes no JSON, LMDB, HTTP, clock or thread" \
  "$(includes_in stats '(jansson|lmdb|microhttpd|pthread|threads|stdatomic|time|sys/time|sodium|pcre2|zlib)\.h')"
tap_none "core includes nothing of the layers above" "$(includes_in core '(http|cli|ui)/')"
tap_none "http includes nothing of cli" "$(includes_in http 'cli/')"
tap_none "nothing of the server includes the client" \
  "$(for folder in stats core http cli; do includes_in $folder 'client/'; done)"
tap_none "client includes nothing of the server but core" "$(includes_in client '(stats|http|cli|ui)/')"
tap_none "only http and client include libcurl" \
  "$(for folder in stats core cli; do includes_in $folder 'curl/'; done)"
tap_none "only core/store*.c include lmdb.h" \
  "$(for folder in stats core client http cli; do includes_in $folder 'lmdb\.h'; done |
    grep -vE '^core/store(_[a-z]+)?\.[ch]:')"
tap_none "only http includes microhttpd.h" \
  "$(for folder in stats core client cli; do includes_in $folder 'microhttpd\.h'; done)"
tap_none "includes of our own are written from the top folder" \
  "$(own_files stats core client http cli tests -- '*.c' '*.h' |
    xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
    grep -vE '"(stats|core|client|http|cli|ui|tests)/')"
tap_none "core uses no word of HTTP as an identifier" \
  "$(own_files core -- '*.c' '*.h' | xargs -r sh -c \
    '. "$UPLIFT_SRCDIR/tests/meta/lib.sh"; identifiers_of "$@"' identifiers |
    grep -iE ':([a-z0-9]*_)*(http|https|mhd|mime|bearer|cookie|useragent|microhttpd)(_[a-z0-9_]*)?$')"

# symbols FILE: "object symbol" for each symbol that FILE's objects leave to others.
symbols() {
  ${NM:-nm} -A -u "$1" 2>/dev/null | awk '{
    object = $1; sub(/:$/, "", object); sub(/.*:/, "", object); print object, $NF }'
}

for library in libstats.a libcore.a libhttp.a; do
  missing=
  [ -s "$build_dir/$library" ] || missing="$build_dir/$library is missing"
  tap_none "$library is there to be looked at" "$missing"
done
cd "$build_dir" || exit 1
tap_none "libstats asks for no JSON, LMDB, HTTP, thread, clock or file" \
  "$(symbols libstats.a | grep -E \
    ' (mdb_|json_|MHD_|pthread_|mtx_|cnd_|thrd_|sodium_|crypto_|randombytes|pcre2_|clock_|clock$|time$|gettimeofday|nanosleep|fopen|open$|open64$|read$|write$|printf$|fprintf$|puts$)')"
tap_none "libstats asks for nothing of core and http" \
  "$(${NM:-nm} --defined-only libcore.a libhttp.a 2>/dev/null |
    awk '$2 ~ /^[A-Z]$/ { print $3 }' | LC_ALL=C sort -u >meta-upper.$$
    symbols libstats.a | awk -v list=meta-upper.$$ '
      BEGIN { while ((getline name < list) > 0) upper[name] = 1 }
      $2 in upper'
    rm -f meta-upper.$$)"
tap_none "only store*.o ask for LMDB" \
  "$(for library in libstats.a libcore.a libhttp.a; do symbols $library; done |
    grep ' mdb_' | grep -vE '^store(_[a-z]+)?\.o ')"
tap_none "only libhttp asks for libmicrohttpd" \
  "$({ symbols libstats.a; symbols libcore.a; for o in cli/*.o; do symbols "$o"; done; } |
    grep ' MHD_')"
tap_none "libcore asks for nothing of http" \
  "$(${NM:-nm} --defined-only libhttp.a 2>/dev/null |
    awk '$2 ~ /^[A-Z]$/ { print $3 }' | LC_ALL=C sort -u >meta-http.$$
    symbols libcore.a | awk -v list=meta-http.$$ '
      BEGIN { while ((getline name < list) > 0) upper[name] = 1 }
      $2 in upper'
    rm -f meta-http.$$)"
tap_none "nothing contracts a multiplication and an addition: bucket boundaries would move" \
  "$(grep -E '^UPLIFT_CFLAGS = ' Makefile | grep -v -e '-ffp-contract=off')"
tap_done
