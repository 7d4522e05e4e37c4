# shellcheck shell=bash
# bash completion for NAME: asks the program at each tab. `source <(NAME completion bash)`

_NAME_complete() {
  local line=${COMP_LINE:0:COMP_POINT} rest words=() word index kind before typed cut i
  rest=$line
  # The words as the program gets them: bash has cut them at each of COMP_WORDBREAKS, `=` and `:` among these.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ ${#words[@]} -eq 0 || $rest == [[:space:]]* ]]; then
      words+=('')
    fi
    rest=${rest#"${rest%%[![:space:]]*}"}
    if ((i == COMP_CWORD)); then
      word=$rest
    fi
    words[${#words[@]} - 1]+=$word
    rest=${rest#"$word"}
  done
  index=$((${#words[@]} - 1))
  typed=${words[index]}
  words+=("${COMP_WORDS[@]:COMP_CWORD+1}")

  COMPREPLY=()
  local answer=()
  mapfile -t answer < <("${1/#\~\//$HOME/}" __complete bash "$index" "${words[@]}" 2> /dev/null)
  kind=${answer[0]#$'careen-completion\t'}
  before=${answer[1]}
  case ${answer[0]} in
    $'careen-completion\tvalues' | $'careen-completion\tparts')
      COMPREPLY=("${answer[@]:2}")
      COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
      ;;
    $'careen-completion\tfiles' | $'careen-completion\tdirectories')
      compopt -o filenames 2> /dev/null
      cut=-f
      [[ $kind == files ]] || cut=-d
      mapfile -t COMPREPLY < <(compgen "$cut" -- "${typed:${#before}}")
      COMPREPLY=("${COMPREPLY[@]/#/$before}")
      ;;
    *) return ;;
  esac
  if [[ $kind == parts || ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=,:/] ]]; then
    compopt -o nospace 2> /dev/null
  fi
  # What stands before the last break is on the line already.
  cut=${typed%"${typed##*["${COMP_WORDBREAKS//[^=:]/}"]}"}
  if [[ -n ${COMP_WORDBREAKS//[^=:]/} && -n $cut ]]; then
    COMPREPLY=("${COMPREPLY[@]#"$cut"}")
  fi
}

complete -F _NAME_complete NAME
