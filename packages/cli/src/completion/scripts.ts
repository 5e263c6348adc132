export type Shell = 'bash' | 'zsh' | 'fish' | 'powershell';

/**
 * What makes a shell ask `ocm complete`. The words of the line are passed on as they are and never evaluated: Tab behind
 * `ocm results > FILE` must not empty the file, nor run a `$(...)` that is only typed. Of an answer, `:0` stands for names of files and `:16` for directories.
 */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: String.raw`# bash completion for ocm
_ocm() {
  local line directive=0
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) directive=${'$'}{line#:} ;;
      *) COMPREPLY+=("${'$'}{line%%$'\t'*}") ;;
    esac
  done < <(ocm complete -- "${'$'}{COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
  # bash 3 has no compopt, and offers files too.
  case $directive in
    4) compopt +o default 2>/dev/null ;;
    16) compopt +o default -o dirnames 2>/dev/null ;;
  esac
}
complete -o default -F _ocm ocm`,

  zsh: String.raw`#compdef ocm
_ocm() {
  local line directive=0
  local -a described
  for line in "${'$'}{(@f)$(ocm complete -- "${'$'}{(@)words[2,CURRENT]}" 2>/dev/null </dev/null)}"; do
    if [[ $line == :* ]]; then
      directive=${'$'}{line#:}
    else
      described+=("${'$'}{${'$'}{line%%$'\t'*}//:/\\:}:${'$'}{line#*$'\t'}")
    fi
  done
  (( $#described )) && _describe ocm described
  case $directive in
    0) _files ;;
    16) _files -/ ;;
  esac
}
compdef _ocm ocm`,

  fish: String.raw`# fish completion for ocm
function __ocm_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l directive 0
  for line in (ocm complete -- $words[2..-1] 2>/dev/null </dev/null)
    if string match -qr '^:\d+$' -- $line
      set directive (string sub -s 2 -- $line)
    else
      echo $line
    end
  end
  switch $directive
    case 0
      __fish_complete_path (commandline -ct)
    case 16
      __fish_complete_directories (commandline -ct)
  end
end
complete -c ocm -f -a '(__ocm_complete)'`,

  powershell: String.raw`# PowerShell completion for ocm (7.3 or newer)
Register-ArgumentCompleter -Native -CommandName ocm -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  if ($wordToComplete -eq '') { $words += '' }
  & ocm complete '--' @words 2>$null | Where-Object { $_ -notmatch '^:\d+$' } | ForEach-Object {
    $value, $description = $_ -split "${'`'}t", 2
    if (-not $description) { $description = $value }
    [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
  }
}`,
};
