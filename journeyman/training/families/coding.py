"""Write this function: small programs, judged by calls that nobody has seen, with one that everybody has."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from pydantic import JsonValue

from journeyman.training.families.files import call
from journeyman.training.tasks import Cheat, Task
from journeyman.verifiers.check import Check

FILE = "solution.py"
HIDDEN = 8
"""Calls that it is judged by, beside the one that is shown."""

Drawn = tuple[str, str, str, Callable[[], list[JsonValue]]]
"""Name with parameters, what it must do, its body, and arguments for a call."""


def make(random: Random, unseen: bool) -> Task:
    signature, job, body, arguments = random.choice(JOBS)(random)
    name = signature.partition("(")[0]
    source = f"def {signature}:\n    " + body.replace("\n", "\n    ") + "\n"
    shown, *hidden = _calls(name, source, arguments)
    example = f"{name}({json.dumps(shown['args'])[1:-1]}) is {json.dumps(shown['expect'])}"
    frames = ("Write a Python function {} in {} that {}. For example, {}.", "In {1}, write the Python function {0}. It {2}. Example: {3}.", "Create {1} with a function {0} that {2}; {3}.")  # fmt: skip
    frame = "I need a file {1}. Its function {0} {2}, so that {3}." if unseen else random.choice(frames)
    by_heart = f"def {signature}:\n    return {shown['expect']!r}\n"
    return Task(
        kind="coding",
        prompt=frame.format(f"`{signature}`", FILE, job, example),
        checks=(Check(verifier="functions", parameters={"calls": [shown, *hidden], "source": FILE}),),
        says=f"Wrote {FILE}.",
        allow=("files.write", "files.edit", "code.python"),
        oracle=(call("files__write", path=FILE, content=source),),
        cheats=(
            Cheat(answer=f"```python\n{source}```"),
            Cheat(files={FILE: by_heart}),
            Cheat(files={FILE: f"print('all tests passed')\nimport os\nos._exit(0)\n{source}"}),
        ),
        unseen=unseen,
    )


def _calls(name: str, source: str, arguments: Callable[[], list[JsonValue]]) -> list[dict[str, Any]]:
    """Calls with different values, as far as they can be had: nothing is right that always returns the same."""
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102 - our own, a few lines further down
    found: dict[str, dict[str, Any]] = {}
    for _ in range(20 * HIDDEN):
        given = arguments()
        expect = space[name](*json.loads(json.dumps(given)))
        found.setdefault(json.dumps(given), {"call": name, "args": given, "expect": expect})
        if len(found) > HIDDEN and len({json.dumps(each["expect"]) for each in found.values()}) > 2:
            break

    return list(found.values())


def _numbers(random: Random, least: int = -20) -> list[JsonValue]:
    return [random.randint(least, 50) for _ in range(random.randint(3, 9))]


def _word(random: Random) -> str:
    return "".join(random.choice("abcdeilnorstu") for _ in range(random.randint(3, 9)))


def _multiples(random: Random) -> Drawn:
    a, b = random.randint(2, 6), random.randint(7, 12)
    body = f"return sum(each for each in range(n) if each % {a} == 0 or each % {b} == 0)"
    return "total(n)", f"returns the sum of the numbers below n that {a} or {b} divides", body, lambda: [random.randint(0, 300)]  # fmt: skip


def _kept(random: Random) -> Drawn:
    limit, factor = random.randint(0, 20), random.randint(2, 9)
    body = f"return [each * {factor} for each in numbers if each > {limit}]"
    return "scaled(numbers)", f"returns those of the numbers that are over {limit}, in their order, each times {factor}", body, lambda: [_numbers(random)]  # fmt: skip


def _shifted(random: Random) -> Drawn:
    by = random.randint(1, 25)
    body = f"return ''.join(chr((ord(each) - 97 + {by}) % 26 + 97) for each in text)"
    return "shifted(text)", f"moves each letter of a lowercase text {by} places on in the alphabet, z being followed by a", body, lambda: [_word(random)]  # fmt: skip


def _runs(random: Random) -> Drawn:
    least = random.randint(2, 3)
    body = f"import itertools\nlengths = [len(list(run)) for _, run in itertools.groupby(values)]\nreturn sum(length >= {least} for length in lengths)"
    return "runs(values)", f"counts the stretches of at least {least} equal values that follow each other", body, lambda: [[random.randint(0, 2) for _ in range(random.randint(6, 16))]]  # fmt: skip


def _window(random: Random) -> Drawn:
    n = random.randint(2, 4)
    body = f"return max(sum(numbers[at : at + {n}]) for at in range(len(numbers) - {n - 1}))"
    return "best(numbers)", f"returns the largest sum of {n} neighbouring numbers of a list of at least {n}", body, lambda: [[*_numbers(random), 1, 2]]  # fmt: skip


def _base(random: Random) -> Drawn:
    base = random.randint(3, 9)
    body = f"digits = ''\nwhile n:\n    n, digit = divmod(n, {base})\n    digits = str(digit) + digits\nreturn digits or '0'"
    return "written(n)", f"writes a number that is not negative in base {base}, as a string", body, lambda: [random.randint(0, 5000)]  # fmt: skip


def _grouped(random: Random) -> Drawn:
    n = random.randint(2, 4)
    body = f"return [values[at : at + {n}] for at in range(0, len(values), {n})]"
    return "groups(values)", f"cuts a list into lists of {n}; the last may be shorter", body, lambda: [_numbers(random)]


def _vowels(random: Random) -> Drawn:
    letters = "".join(random.sample("aeioulnrst", 3))
    body = f"return sum(text.count(letter) for letter in {letters!r})"
    return "count(text)", f"counts how often the letters {', '.join(letters)} are in a text, together", body, lambda: [_word(random)]  # fmt: skip


def _steps(random: Random) -> Drawn:
    add = random.choice((1, 3, 5))
    body = f"steps = 0\nwhile n > 1 and steps < 1000:\n    n = n // 2 if n % 2 == 0 else {3 if add == 1 else 1} * n + {add}\n    steps += 1\nreturn steps"
    rule = f"{'three times it' if add == 1 else 'it'} plus {add}"
    return "steps(n)", f"counts the steps from n down to 1, where an even number is halved and an odd one becomes {rule}; after 1000 steps it stops", body, lambda: [random.randint(2, 200)]  # fmt: skip


JOBS = (_multiples, _kept, _shifted, _runs, _window, _base, _grouped, _vowels, _steps)
