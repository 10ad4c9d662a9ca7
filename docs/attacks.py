"""What each sandbox withstood, as docs/security/sandbox-attacks.md shows it: `uv run just attacks`.

With `--check` nothing is written: it fails when something gets out that the page says was contained. A sandbox that is
not here is said and left out.
"""
# ruff: noqa: INP001, T201 - a script

import re
import sys
from pathlib import Path

import anyio

from journeyman.cli.sandbox import suite
from journeyman.errors import SandboxError
from journeyman.sandbox.attacks.attack import Verdict, assault, counted
from journeyman.sandbox.select import BACKENDS

PAGE = Path(__file__).with_name("security") / "sandbox-attacks.md"
TITLES = {
    "system": "On the operating system around it",
    "host": "On the caller, and on what it reads and shows",
    "forging": "On the verdict of a program that is graded",
}
INTRO = """\
# What the sandboxes withstand

Each attack was made on a fresh sandbox; whether it got out was witnessed outside of it, never told by the attack.
`yes` is contained, **NO** got out, `-` means that it could not even begin: monty knows no such operation. Made by
`uv run just attacks` on Debian 12 with Docker 20.10 and runsc 0.0~20221219; `journeyman sandbox attack` makes them
on your machine, and what it says there counts.
"""
Results = dict[str, dict[str, Verdict]]


async def results() -> Results:
    found: Results = {}
    for provider in BACKENDS:
        try:
            verdicts = await assault(provider, suite())
        except SandboxError as error:
            print(f"{provider.name}: not here: {error}")
            continue

        found[provider.name] = {verdict.name: verdict for verdict in verdicts}
        print(f"{provider.name}: {counted(verdicts)}")

    return found


def page(found: Results) -> str:
    lines = [INTRO]
    for group, title in TITLES.items():
        lines.append(f"## {title}\n\n| attack | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
        for attack in suite():
            if attack.group == group:
                cells = [_cell(verdicts[attack.name]) for verdicts in found.values()]
                lines.append(f"| {attack.name}: {attack.what} | {' | '.join(cells)} |")

        lines.append("")

    counts = [_count([_cell(verdict) for verdict in verdicts.values()]) for verdicts in found.values()]
    lines.append(f"## Contained of {len(suite())}\n\n| {' | '.join(found)} |\n|{'---|' * len(found)}")
    return "\n".join([*lines, f"| {' | '.join(counts)} |", ""])


def worse(found: Results, published: str) -> list[str]:
    """What got out although the page says that it is contained."""
    escaped = []
    for rows in re.findall(r"\| attack \|(.*)\n\|[-|]+\n((?:\|.*\n)+)", published):
        backends = [name.strip() for name in rows[0].split("|")[:-1]]
        for row in rows[1].splitlines():
            name, cells = row[2:].partition(":")[0], [cell.strip() for cell in row.split("|")[2:-1]]
            for backend, cell in zip(backends, cells, strict=True):
                verdict = found.get(backend, {}).get(name)
                if verdict and not verdict.contained and cell != "**NO**":
                    escaped.append(f"{backend}: {name}: {verdict.detail}")

    return escaped


def _cell(verdict: Verdict) -> str:
    if not verdict.contained:
        return "**NO**"

    return "yes" if verdict.begun else "-"


def _count(cells: list[str]) -> str:
    return f"{cells.count('yes')}{f' and {idle} could not begin' if (idle := cells.count('-')) else ''}"


def main() -> int:
    found = anyio.run(results)
    if "--check" not in sys.argv:
        PAGE.write_text(page(found), encoding="utf-8")
        return 0

    escaped = worse(found, PAGE.read_text("utf-8"))
    print(*escaped, sep="\n", end="\n" if escaped else "")
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
