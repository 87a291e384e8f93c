# SPDX-License-Identifier: GPL-3.0-or-later
#
# C with comments removed and literals emptied, each line as "file:line:text". It knows block
# and line comments, string and character literals and backslashes; that is all our sources use.

FNR == 1 { in_comment = 0 }

{
    out = ""
    line = $0
    # The names in #include lines look like strings and are wanted.
    if (!in_comment && line ~ /^[ \t]*#[ \t]*include/) {
        print FILENAME ":" FNR ":" line
        next
    }
    length_of_line = length(line)
    quote = ""
    for (i = 1; i <= length_of_line; i++) {
        c = substr(line, i, 1)
        two = substr(line, i, 2)
        if (in_comment) {
            if (two == "*/") { in_comment = 0; i++ }
        } else if (quote != "") {
            if (c == "\\") i++
            else if (c == quote) { out = out c; quote = "" }
        } else if (two == "/*") {
            in_comment = 1; i++
        } else if (two == "//") {
            break
        } else {
            if (c == "\"" || c == "'") quote = c
            out = out c
        }
    }
    print FILENAME ":" FNR ":" out
}
