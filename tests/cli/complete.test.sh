#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Completion: what uplift complete tells, and the shells with the files that make install puts in
# their folders. bash is asked as it asks itself at a Tab, by COMP_WORDS; fish by complete -C.
. "${UPLIFT_SRCDIR:?run by make check}/tests/meta/lib.sh"

uplift=${UPLIFT_BIN:?run by make check}
completion=$PWD/cli/completion
work=$(mktemp -d "${TMPDIR:-/tmp}/uplift-complete.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/place/a folder"
ln -s "$uplift" "$work/bin/uplift"
echo '{}' >"$work/place/a file.json"
PATH=$work/bin:$PATH
export PATH
commands=$(sed -n 's/^COMMAND(\([a-z]*\),.*/\1/p' cli/commands.def)

# differs EXPECTED FOUND: both as words on lines; nothing when they are the same.
differs() {
  [ "$1" = "$2" ] || printf 'expected:\n%s\nfound:\n%s\n' "$1" "$2"
}
words() { uplift complete -- "$@" | cut -f 1; }
lines() { printf '%s\n' "$@"; }

# --- uplift complete --------------------------------------------------------------------------

tap_none "the first word is a command, or --help or --version" \
  "$(differs "$(lines "$commands" --help --version)" "$(words '')")"
tap_none "the options of a command are those of its help, each with what it is for" \
  "$(for command in $commands; do
    help=$(uplift "$command" --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p' | LC_ALL=C sort)
    differs "$help" "$(words "$command" -- | LC_ALL=C sort)"
    uplift complete -- "$command" -- | grep -vE "^--[a-z-]+$(printf '\t')[^ ].*" |
      grep -vE -- '--(outcome|tls-cert)' # told on the next line of help
  done)"
tap_none "an option given is not offered again, one that may be repeated is" \
  "$(differs --listen "$(words serve --data x --listen y --li)"
    differs '' "$(words serve --data x --da)"
    differs '' "$(words serve --data=x --da)")"
tap_none "values are offered where only some are taken" \
  "$(differs "$(lines client service admin)" "$(words key create --kind '')"
    differs "$(lines --role=viewer)" "$(words key create --role=v)"
    differs "$(lines ndjson)" "$(words export --format n)"
    differs "$(lines create list rotate revoke)" "$(words key --data x '')"
    differs "$(lines verify)" "$(words audit v)")"
tap_none "each value that is offered is taken" \
  "$(for option in key:kind key:role export:type export:format import:method import:report \
    import:effect serve:log-format serve:log-level; do
    command=${option%%:*}
    for word in $(words "$command" "--${option#*:}" ''); do
      echo "$word" >>"$work/values"
      uplift "$command" "--${option#*:}" "$word" --data 2>&1 | grep -q -- '--data: needs a value' ||
        echo "$option $word"
    done
  done
  [ "$(wc -l <"$work/values")" -eq 26 ] || wc -l "$work/values"
  uplift serve --log-level loud --data x 2>&1 |
    grep -vx 'uplift serve: --log-level: must be error, warning or info')"
tap_none "files and folders are asked of the shell" \
  "$(differs :file "$(words analyze '')"
    differs :file "$(words import --data x '')"
    differs :folder "$(words restore '')"
    differs :folder "$(words backup --data x '')"
    differs :folder "$(words serve --data=/va)"
    differs :file "$(words serve --tls-key '')"
    differs :file "$(words plan -- -)"
    differs '' "$(words import file '')"
    differs '' "$(words key rotate '')"
    differs '' "$(words replay '')"
    differs '' "$(words serve --threads '')")"
tap_none "what is no command has nothing" "$(words no-such-command ''; words no --; uplift complete --)"

# --- the shells -------------------------------------------------------------------------------

# in_bash WORD...: what bash offers, sorted, for a line of these words, the last one being typed.
in_bash() {
  # shellcheck disable=SC2016 # bash is to read it
  (cd "$work/place" && bash --norc -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    complete -p uplift | grep -q -- "-F _uplift" || echo "is not registered"
    _uplift; printf "%s\n" "${COMPREPLY[@]}"' "$completion/bash/uplift" "$@" 2>&1 | LC_ALL=C sort)
}
if command -v bash >/dev/null 2>&1; then
  tap_none "bash completes commands, options and values" \
    "$(differs "$(lines serve)" "$(in_bash uplift se)"
      differs "$(lines --log-format --log-level --log-requests)" "$(in_bash uplift serve --log)"
      differs "$(lines admin client service)" "$(in_bash uplift key create --kind '')"
      differs "$(lines client)" "$(in_bash uplift key create --kind = c)"
      differs "$(lines editor)" "$(in_bash "$uplift" key create --kind = admin --role e)"
      differs "$(lines admin client service)" "$(in_bash uplift key create --kind =)")"
  tap_none "bash completes files and folders, with blanks in them" \
    "$(differs "$(lines 'a file.json' 'a folder')" "$(in_bash uplift analyze 'a')"
      differs "$(lines 'a folder')" "$(in_bash uplift serve --data '')")"
else
  tap_skip "bash completes" "bash is not installed"
fi

if command -v zsh >/dev/null 2>&1; then
  tap_none "zsh reads its file" "$(zsh -n "$completion/zsh/_uplift" 2>&1)"
else
  tap_skip "zsh reads its file" "zsh is not installed"
fi

in_fish() {
  (cd "$work/place" && HOME=$work XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work fish --no-config -c \
    "source '$completion/fish/uplift.fish'; complete -C '$1'" 2>&1 | cut -f 1 | LC_ALL=C sort)
}
if command -v fish >/dev/null 2>&1; then
  tap_none "fish completes" \
    "$(differs "$(lines serve)" "$(in_fish 'uplift se')"
      differs "$(lines admin client service)" "$(in_fish 'uplift key create --kind ')"
      differs "$(lines --kind=client)" "$(in_fish 'uplift key create --kind=c')"
      differs "$(lines 'a folder/')" "$(in_fish 'uplift serve --data ')")"
else
  tap_skip "fish completes" "fish is not installed"
fi
tap_done
