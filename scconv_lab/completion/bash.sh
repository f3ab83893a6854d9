# TAB for scconv-lab in bash, written by `scconv-lab completion bash`.

_scconv_lab() {
  local word=${COMP_WORDS[COMP_CWORD]} words= keys="@KEYS@"
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "@COMMANDS@ --help --version" -- "$word")
  elif [[ $word == -* ]]; then
    case ${COMP_WORDS[1]} in
@OPTIONS@
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  else
    [ "$word" != = ] || word= # of --config=
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word"; compgen -W "@FILES@" -- "$word")
  fi
}
complete -o default -F _scconv_lab scconv-lab
