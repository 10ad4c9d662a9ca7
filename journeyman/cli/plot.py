"""Accuracy against tokens: as text for a terminal, and as SVG."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from journeyman.training.compare import Arm

COLUMNS, LINES = 60, 12
WIDE, HIGH, EDGE = 640, 400, 50


def drawn(arms: "Sequence[Arm]") -> str:
    """Share that was right, upwards, over tokens a task, to the right; a letter for each strategy."""
    most = max((arm.tokens for arm in arms), default=0) or 1
    rows = [[" "] * (COLUMNS + 1) for _ in range(LINES + 1)]
    for letter, arm in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", arms, strict=False):
        share = arm.right / max(arm.tasks, 1)
        rows[round((1 - share) * LINES)][round(arm.tokens / most * COLUMNS)] = letter

    lines = [f"{(1 - n / LINES):>5.0%} |{''.join(row).rstrip()}" for n, row in enumerate(rows)]
    legend = [f"{letter} {arm.strategy}" for letter, arm in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", arms, strict=False)]
    return "\n".join([*lines, f"      +{'-' * COLUMNS} {most:.0f} tokens a task", *legend])


def svg(arms: "Sequence[Arm]") -> str:
    """The same with intervals, for a page."""
    most = max((arm.tokens for arm in arms), default=0) or 1
    marks = []
    for arm in arms:
        x = EDGE + arm.tokens / most * (WIDE - 3 * EDGE)
        y, low, high = (HIGH - EDGE - v * (HIGH - 2 * EDGE) for v in (arm.right / max(arm.tasks, 1), arm.low, arm.high))
        marks.append(
            f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="#888"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
            f'<text x="{x + 7:.1f}" y="{y - 5:.1f}">{escape(arm.strategy)}</text>'
        )

    axes = f'<path d="M{EDGE} {EDGE}V{HIGH - EDGE}H{WIDE - EDGE}" fill="none" stroke="#000"/>'
    names = (
        f'<text x="{EDGE}" y="{EDGE - 10}">right, of all tasks (the top is 100 %), with 95 % intervals</text>'
        f'<text x="{WIDE - EDGE}" y="{HIGH - 20}" text-anchor="end">tokens a task, up to {most:.0f}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="12">'
        f"{axes}{names}{''.join(marks)}</svg>\n"
    )
