"""Questions whose answer is one call of the calculator: symbols, words, percentages, powers."""

from random import Random

from journeyman.training.families.exact import shown, value
from journeyman.training.tasks import OracleCall, Task

FRAMES = (
    "What is {}?", "What is {}?", "What is {}?", "what is {}", "What's {}?", "Compute {}", "Compute {}.", "Calculate {}.",
    "calculate {}", "How much is {}?", "how much is {}", "{}", "{} = ?", "{}?", "Please work out {}.",
    "Can you calculate {}?", "Evaluate {}", "Solve {}", "I need the result of {}.", "Tell me {}.",
    "What does {} equal?", "Find {}.", "What do you get for {}?", "Quick: {}", "hey, what is {}?", "Please compute {} for me.",
    "Could you tell me what {} is?", "What is the result of {}?", "What is the value of {}?",
)  # fmt: skip
UNSEEN_FRAMES = ("Give me {}.", "Work out: {}", "{} makes how much?", "I would like to know {}.", "Do the maths: {}")


def make(random: Random, unseen: bool) -> Task:
    asked, expression = random.choice((_symbols, _symbols, _symbols, _words, _words, _percent, _powers, _named))(random)
    frame = random.choice(UNSEEN_FRAMES if unseen else FRAMES)
    if frame[0] == "{" and random.random() < 0.5:
        asked = asked[0].upper() + asked[1:]

    return Task(
        kind="arithmetic",
        prompt=frame.format(asked),
        answer=shown(value(expression)),
        match="numeric",
        oracle=(OracleCall(tool="calculator__calculate", arguments={"expression": expression}),),
        unseen=unseen,
    )


def number(random: Random) -> str:
    """Mostly small, now and then large or with decimals."""
    draw = random.random()
    if draw < 0.12:
        return f"{random.randint(1, 99)}.{random.randint(1, 99)}".rstrip("0")

    top = random.choice((12, 99, 99, 99, 999, 999, 9999, 99999))
    return str(random.randint(2, top))


def _symbols(random: Random) -> tuple[str, str]:
    """An expression in symbols: asked as typed, called with the calculator's signs and nothing else changed."""
    terms = random.choice((2, 2, 3, 3, 3, 4, 5))
    gap = random.choice((" ", " ", ""))
    pieces = [number(random)]
    for _ in range(terms - 1):
        pieces += [random.choice("++--**/"), number(random)]

    if terms > 2 and random.random() < 0.35:
        start = random.randrange(terms - 1) * 2
        pieces[start] = "(" + pieces[start]
        pieces[start + 2] += ")"

    expression = gap.join(pieces)
    times, over = random.choice((("*", "/"), ("*", "/"), ("*", "/"), ("×", "/"), ("×", "÷"), ("x", "/")))
    asked = gap.join(times if piece == "*" else over if piece == "/" else piece for piece in pieces)
    if random.random() < 0.1:
        asked = gap.join(_grouped(piece) if piece.isdigit() else piece for piece in asked.split(gap)) if gap else asked

    return asked, expression


def _grouped(digits: str) -> str:
    return f"{int(digits):,}"


SPOKEN = {"+": ("plus",), "-": ("minus",), "*": ("times", "times", "multiplied by"), "/": ("divided by", "over")}


def _words(random: Random) -> tuple[str, str]:
    a, b, c = number(random), number(random), number(random)
    if random.random() < 0.5:
        pieces = [a, random.choice("+-*/"), b]
        if random.random() < 0.5:
            pieces += [random.choice("+-*"), c]

        asked = [random.choice(SPOKEN[piece]) if piece in SPOKEN else piece for piece in pieces]
        return " ".join(asked), " ".join(pieces)

    return random.choice(
        (
            (f"the sum of {a} and {b}", f"{a} + {b}"),
            (f"the sum of {a}, {b} and {c}", f"{a} + {b} + {c}"),
            (f"the product of {a} and {b}", f"{a} * {b}"),
            (f"the difference between {a} and {b}", f"{a} - {b}"),
            (f"the quotient of {a} and {b}", f"{a} / {b}"),
            (f"the average of {a}, {b} and {c}", f"({a} + {b} + {c}) / 3"),
            (f"the average of {a} and {b}", f"({a} + {b}) / 2"),
            (f"{a} added to {b}", f"{a} + {b}"),
            (f"{a} subtracted from {b}", f"{b} - {a}"),
            (f"half of {a}", f"{a} / 2"),
            (f"a third of {a}", f"{a} / 3"),
            (f"twice {a}", f"2 * {a}"),
            (f"double {a}", f"2 * {a}"),
            (f"three times {a}", f"3 * {a}"),
        )
    )


def _percent(random: Random) -> tuple[str, str]:
    rate = random.choice((5, 10, 12, 15, 18, 20, 25, 30, 40, 50, 75, random.randint(1, 99)))
    base = str(random.randint(2, 90) * random.choice((1, 5, 10, 20, 100)))
    sign = random.choice(("%", "%", " percent", " per cent"))
    return random.choice(
        (
            (f"{rate}{sign} of {base}", f"{rate} / 100 * {base}"),
            (f"{rate}{sign} of {base}", f"{rate} / 100 * {base}"),
            (f"{base} plus {rate}{sign}", f"{base} + {base} * {rate} / 100"),
            (f"{base} minus {rate}{sign}", f"{base} - {base} * {rate} / 100"),
            (f"{base} increased by {rate}{sign}", f"{base} + {base} * {rate} / 100"),
            (f"{base} reduced by {rate}{sign}", f"{base} - {base} * {rate} / 100"),
        )
    )


def _powers(random: Random) -> tuple[str, str]:
    a, n = random.randint(2, 60), random.randint(2, 9)
    return random.choice(
        (
            (f"{a} squared", f"{a} ** 2"),
            (f"{a} cubed", f"{a} ** 3"),
            (f"the square of {a}", f"{a} ** 2"),
            (f"{a} to the power of {n}", f"{a} ** {n}"),
            (f"{a}^{n}", f"{a}**{n}"),
            (f"{a} ^ {n}", f"{a} ** {n}"),
            (f"{a}**{n}", f"{a}**{n}"),
            (f"{a} ** {n} + {n}", f"{a} ** {n} + {n}"),
            (f"the square root of {a * a}", f"sqrt({a * a})"),
            (f"sqrt({a * a})", f"sqrt({a * a})"),
            (f"sqrt({a * a}) + {n}", f"sqrt({a * a}) + {n}"),
        )
    )


def _named(random: Random) -> tuple[str, str]:
    a, b, c = (random.randint(2, 400) for _ in range(3))
    n = random.randint(3, 12)
    return random.choice(
        (
            (f"the largest of {a}, {b} and {c}", f"max({a}, {b}, {c})"),
            (f"the smallest of {a}, {b} and {c}", f"min({a}, {b}, {c})"),
            (f"max({a}, {b}, {c})", f"max({a}, {b}, {c})"),
            (f"the factorial of {n}", f"factorial({n})"),
            (f"{n}!", f"factorial({n})"),
            (f"the greatest common divisor of {a} and {b}", f"gcd({a}, {b})"),
            (f"the remainder of {a} divided by {n}", f"{a} % {n}"),
            (f"{a} modulo {n}", f"{a} % {n}"),
        )
    )
