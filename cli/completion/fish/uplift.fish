# SPDX-License-Identifier: GPL-3.0-or-later
# Completion of uplift for fish: the program itself tells what may come next (uplift-complete(1)).

function __uplift_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -l current (commandline -ct)
    test (count $current) -eq 0; and set current ''
    set -e words[1]
    for line in ($program complete -- $words $current 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path $current
            case ':folder'
                __fish_complete_directories $current
            case '*'
                echo $line
        end
    end
end

complete -c uplift -f -a '(__uplift_complete)'
