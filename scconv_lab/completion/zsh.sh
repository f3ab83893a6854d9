#compdef scconv-lab
# TAB for scconv-lab in zsh, written by `scconv-lab completion zsh`.

_scconv_lab() {
  local -a options keys files
  if (( CURRENT == 2 )); then
    compadd -- @COMMANDS@ --help --version
  elif [[ $PREFIX == -* ]] && ! compset -P '--*='; then
    keys=(@KEYS@)
    case ${words[2]} in
@OPTIONS@
    esac
    compadd -a options
  else
    files=(@FILES@)
    compadd -a files
    _files
  fi
}

if [ "$funcstack[1]" = _scconv-lab ]; then # a file of $fpath
  _scconv_lab "$@"
else
  compdef _scconv_lab scconv-lab
fi
