"""Run this: code that the user gives, and small jobs for which the code has to be written."""

from random import Random

from journeyman.training.families import words
from journeyman.training.families.files import call
from journeyman.training.tasks import Task


def make(random: Random, unseen: bool) -> Task:
    asks = (_given, _given, _wanted)
    prompt, code, answer = random.choice(asks)(random, unseen)
    return Task(kind="code", prompt=prompt, answer=answer, allow=("code.python",), oracle=(call("code__python", code=code),), unseen=unseen)  # fmt: skip


def _given(random: Random, unseen: bool) -> tuple[str, str, str]:
    code, answer = _snippet(random)
    frames = (
        "Run this Python: {}", "Run this Python: {}", "Run this Python code: {}", "Run: {}", "Execute {}", "What does {} print?", "Run this in Python: {}",
        "Run this Python:\n{}", "Run this code:\n```python\n{}\n```", "What does this print?\n{}", "What is the output of this Python code?\n{}", "run python {}",
    )  # fmt: skip
    if "\n" in code:
        frames = tuple(frame for frame in frames if "\n" in frame)

    frame = "Please run the following Python:\n{}" if unseen else random.choice(frames)
    return frame.format(code), code, answer


def _snippet(random: Random) -> tuple[str, str]:
    n, a, b = random.randint(3, 400), random.randint(2, 99), random.randint(2, 99)
    word = random.choice((*words.ITEMS, *words.COLOURS, *words.NAMES, *words.CITIES))
    numbers = [random.randint(1, 99) for _ in range(random.randint(3, 6))]
    return random.choice(
        (
            (f"print(sum(range({n})))", str(sum(range(n)))),
            (f"print(sum(range({a}, {a + n})))", str(sum(range(a, a + n)))),
            (f"print({a} * {b} + {n})", str(a * b + n)),
            (f"print({a} ** 3 % {b})", str(a**3 % b)),
            (f"print(len('{word}'))", str(len(word))),
            (f"print('{word}'.upper())", word.upper()),
            (f'print("{word}"[::-1])', word[::-1]),
            (f"print('{word}' * 2)", word * 2),
            (f"print(sorted({numbers}))", str(sorted(numbers))),
            (f"print(max({numbers}))", str(max(numbers))),
            (f"print(sum({numbers}))", str(sum(numbers))),
            (f"sum({numbers})", str(sum(numbers))),
            (f"print([x * {a} for x in range(4)])", str([x * a for x in range(4)])),
            (f"x = {a}\ny = {b}\nprint(x * y)", str(a * b)),
            (f"x = {a}; print(x + {b})", str(a + b)),
            (f"total = 0\nfor i in range({n}):\n    total += i\nprint(total)", str(sum(range(n)))),
            (f"def f(x):\n    return x * {a}\nprint(f({b}))", str(a * b)),
            (f"words = ['{word}', 'end']\nprint(' '.join(words))", f"{word} end"),
            (f"print({n} // {a}, {n} % {a})", f"{n // a} {n % a}"),
            (f"for i in range(3):\n    print(i * {a})", f"0\n{a}\n{2 * a}"),
            (f"print('{word}'.count('{word[0]}'))", str(word.count(word[0]))),
        )
    )


def _wanted(random: Random, unseen: bool) -> tuple[str, str, str]:
    n, word = random.randint(3, 300), random.choice((*words.ITEMS, *words.COLOURS, *words.NAMES))
    numbers = [random.randint(1, 99) for _ in range(random.randint(3, 6))]
    listed = ", ".join(map(str, numbers))
    job, code, answer = random.choice(
        (
            (f"add the numbers from 1 to {n}", f"print(sum(range(1, {n + 1})))", str(n * (n + 1) // 2)),
            (f"compute the sum of the squares from 1 to {n}", f"print(sum(i * i for i in range(1, {n + 1})))", str(sum(i * i for i in range(n + 1)))),
            (f"reverse the word {word}", f"print('{word}'[::-1])", word[::-1]),
            (f"write {word} in capital letters", f"print('{word}'.upper())", word.upper()),
            (f"count the letters of {word}", f"print(len('{word}'))", str(len(word))),
            (f"sort {listed}", f"print(sorted([{listed}]))", str(sorted(numbers))),
            (f"find the largest of {listed}", f"print(max([{listed}]))", str(max(numbers))),
            (f"add up {listed}", f"print(sum([{listed}]))", str(sum(numbers))),
            (f"compute 2 to the power of {n % 60}", f"print(2 ** {n % 60})", str(2 ** (n % 60))),
            (f"count how many numbers below {n} are divisible by 7", f"print(len([i for i in range({n}) if i % 7 == 0]))", str(len(range(0, n, 7)))),
        )
    )  # fmt: skip
    frames = (
        "Use Python to {}.",
        "Use Python to {}",
        "With Python, {}.",
        "Write Python code to {} and run it.",
        "Run Python code to {}.",
    )
    frame = "Let Python {}." if unseen else random.choice(frames)
    return frame.format(job), code, answer
