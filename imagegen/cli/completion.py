"""`imagegen completion`: the script that completes the command in a shell."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, get_completion_class

_HOW = """Put its output where your shell reads it, such as

\b
  bash   mkdir -p ~/.local/share/bash-completion/completions
         imagegen completion bash > ~/.local/share/bash-completion/completions/imagegen
  zsh    imagegen completion zsh > "${fpath[1]}/_imagegen"
  fish   mkdir -p ~/.config/fish/completions
         imagegen completion fish > ~/.config/fish/completions/imagegen.fish
"""

_BASH = r"""# Bash breaks words at COMP_WORDBREAKS, so at the colon of provider:model, and
# completes what is behind the last break: whole words are asked for, and what bash has taken off.
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} word item kind value has=""
    local -a words=()
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -eq 0 || $line == [[:space:]]* ]]; then
            words+=("$word")
        else
            words[-1]+=$word
        fi
        line=${line#"${line%%%%[![:space:]]*}"}
        if [[ -n $line && $word == "$line"* ]]; then
            words[-1]=${words[-1]%%"${word#"$line"}"}
        fi
        line=${line#"$word"}
    done
    word=${words[-1]}
    if [[ $COMP_WORDBREAKS == *:* && $word == *:* ]]; then
        has=${word%%:*}:
        [[ $has == --*=* ]] && has=${has#*=}
    fi
    COMPREPLY=()
    while IFS= read -r item; do
        kind=${item%%%%,*} value=${item#*,}
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$has"}") ;;
        esac
    done < <(
        IFS=$'\n'
        env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) \
            %(complete_var)s=bash_complete "${1:-%(prog_name)s}" 2>/dev/null
    )
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    source_template = _BASH


@click.command(epilog=_HOW)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that completes this command in your shell."""
    kind = _Bash if shell == "bash" else get_completion_class(shell)
    if kind is None:
        context.fail(f"there is no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "imagegen", "_IMAGEGEN_COMPLETE").source())
