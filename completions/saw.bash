# bash completion for saw; made by 'saw completion bash'
_saw() {
  local current=${COMP_WORDS[COMP_CWORD]} path='' words='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    [[ $word == -- ]] && return
    [[ $word == -* ]] && continue
    case $path in
    '') path=$word ;;
    workspace|session|policy|agent|delegate|secret|review|audit) path="$path $word"; break ;;
    *) break ;;
    esac
  done
  case $path in
    '') words='up down status doctor advise conform workspace exec run attach cp session policy agent delegate revoke secret review audit whoami version help completion ssh kill login logout mcp bench' ;;
    'workspace') words='create list show start stop rebuild snapshot fork decommission expose' ;;
    'session') words='start exec diff commit discard fork end list' ;;
    'policy') words='lint show schema decide prove keygen sign verify publish rollback revoke status replay import' ;;
    'agent') words='register list show suspend resume revoke' ;;
    'delegate') words='create list show revoke' ;;
    'secret') words='put list rotate rm' ;;
    'review') words='list show approve deny' ;;
    'audit') words='tail query verify prove export' ;;
    'up') words='--foreground --strict --json --socket --dir --help' ;;
    'down') words='--json --socket --dir --help' ;;
    'status') words='--json --socket --dir --help' ;;
    'doctor') words='--json --socket --dir --help' ;;
    'advise') words='--autonomous --internal --internet --serves-others --long-running --json --socket --dir --help' ;;
    'conform') words='--json --socket --dir --help' ;;
    'workspace create') words='--profile --policy --channel --image --isolation --mount --warm --memory --cpus --pids --disk --json --socket --dir --help' ;;
    'workspace list') words='--json --socket --dir --help' ;;
    'workspace show') words='--json --socket --dir --help' ;;
    'workspace start') words='--json --socket --dir --help' ;;
    'workspace stop') words='--json --socket --dir --help' ;;
    'workspace rebuild') words='--snapshot --json --socket --dir --help' ;;
    'workspace snapshot') words='--name --stop --list --remove --json --socket --dir --help' ;;
    'workspace fork') words='--stop --json --socket --dir --help' ;;
    'workspace decommission') words='--json --socket --dir --help' ;;
    'exec') words='--env --cwd --agent --timeout --tty --json --socket --dir --help' ;;
    'run') words='--session --keep --delegation --env --cwd --agent --timeout --tty --json --socket --dir --help' ;;
    'attach') words='--session --name --new --list --end --env --cwd --agent --json --socket --dir --help' ;;
    'cp') words='--json --socket --dir --help' ;;
    'session start') words='--name --json --socket --dir --help' ;;
    'session exec') words='--env --cwd --agent --timeout --tty --json --socket --dir --help' ;;
    'session diff') words='--lines --stat --name-only --json --socket --dir --help' ;;
    'session commit') words='--root --yes --stop --json --socket --dir --help' ;;
    'session discard') words='--stop --json --socket --dir --help' ;;
    'session fork') words='--stop --json --socket --dir --help' ;;
    'session end') words='--json --socket --dir --help' ;;
    'session list') words='--json --socket --dir --help' ;;
    'policy lint') words='--explain --json --socket --dir --help' ;;
    'policy show') words='--json --socket --dir --help' ;;
    'policy schema') words='--json --socket --dir --help' ;;
    'policy decide') words='--policy --json --socket --dir --help' ;;
    'policy prove') words='--within --json --socket --dir --help' ;;
    'policy keygen') words='--kind --passphrase-file --json --socket --dir --help' ;;
    'policy sign') words='--key --passphrase-file --trust --channel --revision --version --not-before --expires --json --socket --dir --help' ;;
    'policy verify') words='--trust --channel --revocations --json --socket --dir --help' ;;
    'policy publish') words='--tree --channel --trust --commit --json --socket --dir --help' ;;
    'policy rollback') words='--tree --channel --trust --key --passphrase-file --to --why --commit --json --socket --dir --help' ;;
    'policy revoke') words='--tree --channel --trust --key --passphrase-file --release --revoke-key --why --commit --json --socket --dir --help' ;;
    'policy status') words='--tree --trust --json --socket --dir --help' ;;
    'agent register') words='--purpose --json --socket --dir --help' ;;
    'agent list') words='--json --socket --dir --help' ;;
    'agent show') words='--json --socket --dir --help' ;;
    'agent suspend') words='--json --socket --dir --help' ;;
    'agent resume') words='--json --socket --dir --help' ;;
    'agent revoke') words='--json --socket --dir --help' ;;
    'delegate create') words='--workspace --agent --sub-agent --task --action --tool --resource --label --grant --for --calls --depth --approval --from --json --socket --dir --help' ;;
    'delegate list') words='--json --socket --dir --help' ;;
    'delegate show') words='--json --socket --dir --help' ;;
    'delegate revoke') words='--why --json --socket --dir --help' ;;
    'revoke') words='--why --json --socket --dir --help' ;;
    'secret put') words='--json --socket --dir --help' ;;
    'secret list') words='--json --socket --dir --help' ;;
    'secret rotate') words='--json --socket --dir --help' ;;
    'secret rm') words='--json --socket --dir --help' ;;
    'review list') words='--all --json --socket --dir --help' ;;
    'review show') words='--json --socket --dir --help' ;;
    'review approve') words='--digest --json --socket --dir --help' ;;
    'review deny') words='--why --json --socket --dir --help' ;;
    'audit tail') words='--follow --lines --verdict --agent --workspace --session --call --trace --host --since --json --socket --dir --help' ;;
    'audit query') words='--verdict --agent --workspace --session --call --trace --host --since --json --socket --dir --help' ;;
    'audit verify') words='--log --key --origin --json --socket --dir --help' ;;
    'audit prove') words='--since --absent --session --call --destination --output --log --key --origin --json --socket --dir --help' ;;
    'audit export') words='--from --json --socket --dir --help' ;;
    'whoami') words='--json --socket --dir --help' ;;
    'version') words='--json --socket --dir --help' ;;
    'help') words='--man --markdown --json --socket --dir --help' ;;
    'completion') words='--json --socket --dir --help' ;;
    'workspace expose') words='--json --socket --dir --help' ;;
    'ssh') words='--json --socket --dir --help' ;;
    'policy replay') words='--json --socket --dir --help' ;;
    'policy import') words='--json --socket --dir --help' ;;
    'kill') words='--json --socket --dir --help' ;;
    'login') words='--json --socket --dir --help' ;;
    'logout') words='--json --socket --dir --help' ;;
    'mcp') words='--json --socket --dir --help' ;;
    'bench') words='--json --socket --dir --help' ;;
  esac
  if [[ $current == -* || " $words " != *" --json "* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -F _saw saw
