# fish completion for NAME: asks the program at each tab. `NAME completion fish > ~/.config/fish/completions/NAME.fish`

function __NAME_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l typed (commandline --current-token --cut-at-cursor)
    set -l answer ($words[1] __complete fish (count $words) $words "$typed" 2>/dev/null)
    set -l before $answer[2]
    set -l rest (string sub --start (math (string length -- "$before") + 1) -- "$typed")
    switch "$answer[1]"
        case careen-completion\tvalues careen-completion\tparts
            printf '%s\n' $answer[3..]
        case careen-completion\tfiles
            printf "$before%s\n" (__fish_complete_path "$rest" '')
        case careen-completion\tdirectories
            printf "$before%s\n" (__fish_complete_directories "$rest" '')
    end
end

complete --command NAME --no-files --keep-order --arguments '(__NAME_complete)'
