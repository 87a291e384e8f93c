#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The manual cannot lag behind the binary: a page for each subcommand, each option in both.
. "${UPLIFT_SRCDIR:?run by make check}/tests/meta/lib.sh"

uplift=${UPLIFT_BIN:?run by make check}
commands=$(sed -n 's/^COMMAND(\([a-z]*\),.*/\1/p' cli/commands.def)
tap_none "commands.def names at least one command" "$([ -n "$commands" ] || echo "none found")"

# options TEXT: the long options in it, one a line.
options() {
  grep -oE -e '--[a-z][a-z0-9-]*' | LC_ALL=C sort -u
}

for command in $commands; do
  page=
  for candidate in doc/man/uplift-"$command".[18]; do
    [ -e "$candidate" ] && page=$candidate
  done
  tap_none "uplift $command has a man page" "$([ -n "$page" ] || echo "doc/man/uplift-$command.1 or .8")"

  help=$("$uplift" "$command" --help 2>/dev/null </dev/null)
  status=$?
  tap_none "uplift $command --help prints help and exits 0" \
    "$([ $status -eq 0 ] && [ -n "$help" ] || echo "exit $status")"
  if [ -n "$page" ]; then
    documented=$(sed 's/\\-/-/g' "$page" | options)
    tap_none "the man page of uplift $command tells of every option in --help" \
      "$(printf '%s\n' "$help" | options | while read -r option; do
        printf '%s\n' "$documented" | grep -qxe "$option" || echo "$option is not in $page"
      done)"
  fi
  "$uplift" "$command" --no-such-option </dev/null >/dev/null 2>&1
  status=$?
  tap_none "uplift $command refuses an unknown option with exit 2" \
    "$([ $status -eq 2 ] || echo "exit $status")"
done

pages=$(own_files doc/man -- '*.[138]')
tap_none "every man page is installed" \
  "$(for page in $pages; do
    grep -qE "%D%/${page#doc/}( |\$)" doc/Makefile.inc || echo "$page is not in doc/Makefile.inc"
  done)"
if command -v mandoc >/dev/null 2>&1; then
  tap_none "mandoc finds no error in a man page" \
    "$(for page in $pages; do mandoc -T lint -W warning "$page" 2>&1; done)"
elif command -v groff >/dev/null 2>&1; then
  tap_none "groff finds nothing to warn of in a man page" \
    "$(for page in $pages; do groff -man -Tutf8 -ww "$page" 2>&1 >/dev/null; done)"
else
  tap_skip "the man pages are well-formed" "neither mandoc nor groff is installed"
fi

tap_none "every file that a page of text links to is there" \
  "$(for page in *.md */*.md */*/*.md; do
    [ -e "$page" ] || continue
    case $page in */node_modules/*) continue ;; esac
    grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -vE '^(https?:|mailto:)' |
      while read -r link; do
        [ -e "$(dirname "$page")/${link%% *}" ] || echo "$page links to $link"
      done
  done)"
tap_none "uplift --version tells the version of configure.ac" \
  "$(version=$(sed -n 's/^AC_INIT(\[uplift\], \[\([^]]*\)\].*/\1/p' configure.ac)
    [ "$("$uplift" --version)" = "uplift $version" ] || "$uplift" --version)"
tap_none "CHANGES.md starts with that version" \
  "$(version=$("$uplift" --version | sed 's/^uplift //')
    grep -m1 '^## ' CHANGES.md | grep -qF "$version" || grep -m1 '^## ' CHANGES.md)"
"$uplift" no-such-command >/dev/null 2>&1
status=$?
tap_none "an unknown command exits 2" "$([ $status -eq 2 ] || echo "exit $status")"
"$uplift" >/dev/null 2>&1
status=$?
tap_none "no command exits 2" "$([ $status -eq 2 ] || echo "exit $status")"
"$uplift" --help >/dev/full 2>/dev/null
status=$?
tap_none "output that cannot be written is a failure" "$([ $status -ne 0 ] || echo "exit $status")"
tap_done
