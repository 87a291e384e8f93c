#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What every source file keeps to: licence line, no unfinished work, no banned call, functions
# of a size that can be read, and a place in the build.
. "${UPLIFT_SRCDIR:?run by make check}/tests/meta/lib.sh"

c_files=$(own_files stats core client http cli tests -- '*.c' '*.h')
product_files=$(own_files stats core client http cli -- '*.c' '*.h')
text_files=$(own_files stats core client http cli ui tests doc -- \
  '*.c' '*.h' '*.def' '*.mjs' '*.js' '*.css' '*.sh' '*.awk' '*.inc')

# The functions below are called through for_each: shellcheck cannot see that.
# shellcheck disable=SC2317
for_each() { # for_each COMMAND FILE...: COMMAND's output for the files
  command=$1
  shift
  [ $# -eq 0 ] || $command "$@"
}

licence() {
  for file in "$@"; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-3.0-or-later' || echo "$file"
  done
}
# shellcheck disable=SC2086
{
  tap_none "every file names its licence in its first lines" "$(for_each licence $text_files \
    configure.ac Makefile.am bootstrap .clang-format)"

  # The words are put together here so that this file does not find itself.
  markers='TO''DO|FIX''ME|XX''X|HA''CK'
  tap_none "no marker of unfinished work" \
    "$(for_each "grep -nHE (^|[^A-Za-z])($markers)([^A-Za-z]|\$)" $text_files |
      grep -v '^ui/package-lock.json')"
  unfinished='not.(yet.)?imple''mented|to.be.wri''tten|place''holder.for'
  tap_none "nothing says that it is still to come" \
    "$(for_each "grep -niHE $unfinished" $text_files)"

  banned='strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|atof|rand|srand|alloca|tmpnam|mktemp|gmtime|localtime|asctime|ctime'
  tap_none "no banned call" \
    "$(for_each code_of $c_files | grep -E "(^|[^A-Za-z0-9_.>])($banned)[[:space:]]*\(")"
  tap_none "the product starts no other program" \
    "$(for_each code_of $product_files |
      grep -E '(^|[^A-Za-z0-9_.>])(system|popen|exec[lv]p?e?|posix_spawnp?)[[:space:]]*\(')"

  long_functions() {
    awk '/^\{/ { start = FNR; open = 1 }
         /^\}/ { if (open && FNR - start + 1 > 120)
                   print FILENAME ":" start ": " FNR - start + 1 " lines"
                 open = 0 }' "$@"
  }
  tap_none "no function is longer than 120 lines" "$(for_each long_functions $c_files)"

  tabs() { grep -nHE "$(printf '\t')| +\$" "$@"; }
  tap_none "C files hold no tab and no blank at the end of a line" "$(for_each tabs $c_files)"

  # Columns, not bytes: a byte that continues a character of UTF-8 takes no column.
  wide() {
    LC_ALL=C awk '{ line = $0; gsub(/[\200-\277]/, "", line) }
      length(line) > 100 { print FILENAME ":" FNR ": " length(line) " columns" }' "$@"
  }
  tap_none "no line of C is longer than 100 columns" "$(for_each wide $c_files)"
}

unlisted=
for folder in stats core client http cli; do
  for file in $(own_files $folder -- '*.c' '*.h' '*.def'); do
    grep -qF "%D%/${file#"$folder"/}" $folder/Makefile.inc || unlisted="$unlisted$file
"
  done
done
tap_none "every source is in its folder's Makefile.inc (else the tarball lacks it)" "$unlisted"

unlisted=
for file in $(own_files tests -- 't_*.c' 's_*.c' '*.test.sh' '*.test.mjs') $(own_files tests/meta -- '*.sh'); do
  name=${file#tests/}
  case $name in
    meta/lib.sh | meta/tarball.sh) continue ;;
    *.c) name=${name%.c} ;;
  esac
  grep -qE "%D%/$name( |\$)" tests/Makefile.inc || unlisted="$unlisted$file
"
done
tap_none "every test is in tests/Makefile.inc (else it never runs)" "$unlisted"

# What holds for the whole of a layer has no source of its own.
lonely=
for file in $(own_files tests/stats tests/core tests/client tests/http tests/cli -- 't_*.c'); do
  case $file in tests/stats/t_identities.c | tests/core/t_edges.c) continue ;; esac
  source=${file#tests/}
  source=$(dirname "$source")/$(basename "$source" .c | sed 's/^t_//').c
  [ -e "$source" ] || lonely="$lonely$file: there is no $source
"
done
tap_none "every C test is named after the source that it tests" "$lonely"

tap_none "lock files name no address to download from" \
  "$(own_files ui tests -- package-lock.json | xargs -r grep -nH '"resolved"')"
tap_none "the folder core is not ignored by git" "$(grep -nE '^/?core/?$' .gitignore 2>/dev/null)"
tap_done
