#compdef NAME
# zsh completion for NAME: asks the program at each tab. `NAME completion zsh > "${fpath[1]}/_NAME"`

_NAME() {
  local program=${words[1]/#\~\//$HOME/} line value before
  local -a answer values shown on_values on_shown
  answer=("${(@f)$("${(Q)program}" __complete zsh $((CURRENT - 1)) "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" \
    "${(@Q)words[CURRENT+1,-1]}" 2> /dev/null)}")
  before=${answer[2]}
  case ${answer[1]} in
    $'careen-completion\tvalues' | $'careen-completion\tparts')
      for line in "${(@)answer[3,-1]}"; do
        value=${line%%$'\t'*}
        [[ -n $value ]] || continue
        line=${line#*$'\t'}
        # One that goes on has no blank behind it.
        if [[ $value == *[=,:/] || $answer[1] == *parts ]]; then
          on_values+=("$value") on_shown+=("$value${line:+  -- $line}")
        else
          values+=("$value") shown+=("$value${line:+  -- $line}")
        fi
      done
      (($#values)) && compadd -l -V NAME -d shown -a values
      (($#on_values)) && compadd -l -V NAME -S '' -d on_shown -a on_values
      ;;
    $'careen-completion\tfiles')
      compset -p ${#before}
      _files
      ;;
    $'careen-completion\tdirectories')
      compset -p ${#before}
      _files -/
      ;;
  esac
}

# Sourced, it is told to the shell; as a file of `fpath`, it is called.
if [[ $funcstack[1] == _NAME ]]; then
  _NAME "$@"
else
  compdef _NAME NAME
fi
