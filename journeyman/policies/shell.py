"""Shell commands, as far as they can be read with certainty: `where.command = { shell = ["ls", "git status"] }`.

The script is parsed by tree-sitter's bash grammar (extra `shell`) and must be nothing but plain commands, joined by
pipes, `&&`, `||`, `;`, `&` or lines, of words that stand for themselves. Anything else (an expansion, a substitution, a
redirection, an assignment, a function, a here-document, a backslash) is not understood, and neither is a command that
runs what it is given (`env`, `sudo`, `xargs`, `bash`), however often a rule names it. What is not understood is "cannot
tell": it is never allowed by a rule. Without the extra nothing is understood.

Such rules spare prompts about what a sandbox contains. They are no boundary: `Condition.holds` lets none of them allow
a call of a tool that is not confined.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST = 10_000
"""Characters of a script that anybody reads."""
JOINED = frozenset({"program", "list", "pipeline", "\n", ";", "&", "&&", "||", "|", "comment"})
WORD = re.compile(r"(?![*?])[A-Za-z0-9_@%+=:,./*?-]+")
"""What the shell takes as it stands. A pattern may become names of files, and one that begins so may become options."""
NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]*")
"""Of a command: no path, as another program may stand there; no pattern."""
RUNNERS = frozenset(
    """
    . alias ash awk bash bg builtin busybox bwrap capsh chroot chrt command compgen complete coproc crontab csh dash
    declare disown docker doas ed emacs enable env eval exec expect export fakeroot fc fg firejail fish flock function
    gawk gdb getopts go hash history if ionice jobs kill ksh less let local logout logger ltrace m4 make mail man
    mapfile mawk more nawk nc ncat nice nohup nsenter parallel perl php pkexec podman popd pushd read readarray
    readonly rlwrap ruby runuser rush sed screen script select set setarch setpriv setsid sg sh shift shopt socat source
    ssh start-stop-daemon stdbuf strace su sudo systemd-run tar taskset tclsh time timeout tmux toybox trap typeset
    ulimit umask unalias uniq unbuffer unset unshare until vi view vim wait watch while xargs xterm zip zsh
    """.split()  # noqa: SIM905 - a list that is read and grows
)
"""Commands and words of the shell that run others, or change what the next one means."""
ESCAPES: dict[str, tuple[str, ...]] = {
    "date": ("-s", "--s", "-f", "--f"),
    "diff": ("-l", "--pag"),
    "fd": ("-x", "-X", "--exec"),
    "find": ("-exec", "-ok", "-delete", "-fprint", "-fls", "-files0"),
    "git": (
        "-c",
        "-C",
        "-O",
        "--ou",
        "--op",
        "--ex",
        "--te",
        "--gi",
        "--wo",
        "--up",
        "--rec",
        "--sup",
        "--conf",
        "--pag",
    ),
    "rg": ("-z", "--pre", "--hostname-bin", "--search-zip"),
    "sort": ("-o", "-S", "-T", "--o", "--c", "--t", "--f", "--b"),
    "tree": ("-o", "-R"),
}
"""Options by which a command that reads writes, or runs another; of long ones as much as the command needs."""


def understood(script: object) -> tuple[tuple[str, ...], ...] | None:
    """The words of each command in the script; None where it says anything that is not plain."""
    if not isinstance(script, str) or not script.strip() or len(script) > LONGEST or "\\" in script:
        return None

    if not all(char.isprintable() or char == "\n" for char in script) or (parser := _parser()) is None:
        return None

    root = parser.parse(script.encode()).root_node
    if root.has_error:
        return None

    commands = [_words(node) for node in _commands(root)]
    return None if None in commands else tuple(words for words in commands if words)


def every_is(script: object, allowed: Sequence[str]) -> bool | None:
    """Does every command in it begin with the words of one of these? None where that cannot be told."""
    commands = understood(script)
    if not commands or any(_runs_others(words) for words in commands):
        return None

    prefixes = [tuple(each.split()) for each in allowed]
    told = {any(words[: len(prefix)] == prefix for prefix in prefixes) for words in commands}
    return told.pop() if len(told) == 1 else None


def _commands(node: "Node") -> "Iterator[Node | None]":
    """The plain commands below a node, None for anything else."""
    if node.type == "command":
        yield node
    elif node.type in JOINED:
        for child in node.children:
            yield from _commands(child)
    else:
        yield None


def _words(node: "Node | None") -> tuple[str, ...] | None:
    if node is None or not node.children or node.children[0].type != "command_name":
        return None

    words = [_word(child) for child in (node.children[0].children[0], *node.children[1:])]
    if words[0] is None or not NAME.fullmatch(words[0]):
        return None

    return None if None in words else tuple(word for word in words if word is not None)


def _word(node: "Node") -> str | None:
    text = (node.text or b"").decode()
    if node.type in {"word", "number"}:
        return text if WORD.fullmatch(text) else None

    if node.type == "raw_string":
        return text[1:-1]

    plain = node.type == "string" and all(child.type in {'"', "string_content"} for child in node.children)
    return text[1:-1] if plain and not re.search(r"[$`!]", text) else None


def _runs_others(words: Sequence[str]) -> bool:
    name, *rest = words
    return name in RUNNERS or any(_is_option(word, each) for word in rest for each in ESCAPES.get(name, ()))


def _is_option(word: str, option: str) -> bool:
    """A letter also among others: `sort -uo FILE`."""
    return word.startswith(option) or (len(option) == 2 and option[1] in re.sub(r"^(?!-\w).*", "", word))  # noqa: PLR2004


@cache
def _parser() -> "Parser | None":
    try:
        import tree_sitter_bash  # noqa: PLC0415 - the extra `shell`
        from tree_sitter import Language, Parser  # noqa: PLC0415
    except ImportError:
        return None

    return Parser(Language(tree_sitter_bash.language()))
