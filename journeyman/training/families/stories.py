"""Word problems: small stories whose answer is one expression."""

from random import Random

from journeyman.training.families.exact import shown, value
from journeyman.training.families.words import ITEMS, NAMES
from journeyman.training.tasks import OracleCall, Task

STORIES = (
    ("{name} has {a} {items} and buys {b} more. How many {items} does {name} have now?", "{a} + {b}"),
    ("{name} has {m} {items} and gives away {s}. How many {items} are left?", "{m} - {s}"),
    ("{name} had {m} {items}. {name} lost {s} of them. How many {items} remain?", "{m} - {s}"),
    ("There are {a} boxes with {b} {items} in each box. How many {items} are there altogether?", "{a} * {b}"),
    ("{name} buys {a} {items} at {b} dollars each. How much does {name} pay?", "{a} * {b}"),
    ("One of the {items} costs {b} euros. How much do {a} {items} cost?", "{a} * {b}"),
    ("{t} {items} are shared equally among {q} children. How many {items} does each child get?", "{t} / {q}"),
    ("{name} packs {t} {items} into bags of {q}. How many bags does {name} need?", "{t} / {q}"),
    ("A train travels {a} km per hour for {h} hours. How far does it go?", "{a} * {h}"),
    ("A car drives {t} km in {q} hours. What is its average speed in km per hour?", "{t} / {q}"),
    ("{name} earns {a} dollars an hour and works {h} hours a day for {d} days. How much does {name} earn?", "{a} * {h} * {d}"),
    ("A shop sells {a} {items} on Monday, {b} on Tuesday and {c} on Wednesday. How many {items} did it sell?", "{a} + {b} + {c}"),
    ("{name} reads {h} pages a day. How many pages does {name} read in {d} days?", "{h} * {d}"),
    ("A room is {h} metres long and {d} metres wide. What is its area?", "{h} * {d}"),
    ("A garden is {a} m long and {b} m wide. What is its perimeter?", "2 * ({a} + {b})"),
    ("{name} buys {d} {items} for {h} dollars each and pays with {big} dollars. How much change does {name} get?", "{big} - {d} * {h}"),
    ("A ticket costs {h} dollars. {a} people come. How much money is collected?", "{a} * {h}"),
    ("{name} has {a} {items}. {other} has {b} more than {name}. How many does {other} have?", "{a} + {b}"),
    ("{name} has {m} {items}. {other} has {s} fewer. How many does {other} have?", "{m} - {s}"),
    ("{name} has {a} {items} and {other} has {d} times as many. How many {items} does {other} have?", "{a} * {d}"),
    ("A jacket costs {p} dollars and is reduced by {r} percent. What is the new price?", "{p} - {p} * {r} / 100"),
    ("A meal costs {p} dollars. {name} adds a tip of {r} percent. How much does {name} pay in total?", "{p} + {p} * {r} / 100"),
    ("A bottle holds {h} litres. How many litres do {a} bottles hold?", "{a} * {h}"),
    ("{name} saves {h} euros every week. How much is that after {a} weeks?", "{a} * {h}"),
    ("A farmer has {a} cows and {b} sheep. How many animals is that?", "{a} + {b}"),
    ("A class has {m} pupils; {s} are ill today. How many came?", "{m} - {s}"),
    ("A book has {m} pages. {name} has read {s} pages. How many pages are left?", "{m} - {s}"),
    ("{name} baked {d} trays of {h} cookies and ate {s2}. How many cookies are left?", "{d} * {h} - {s2}"),
    ("There are {a} red and {b} blue {items} in each of {d} boxes. How many {items} are there in all?", "({a} + {b}) * {d}"),
    ("A machine makes {a} {items} per hour. How many does it make in {h} hours?", "{a} * {h}"),
    ("A hall has {a} rows of {h} seats. {s2} seats are taken. How many are free?", "{a} * {h} - {s2}"),
    ("{name} is {h} years old. {other} is {d} years older. How old is {other}?", "{h} + {d}"),
    ("{name} walks {h} km every morning and {d} km every evening. How far is that in {a} days?", "({h} + {d}) * {a}"),
    ("A bus has {m} passengers. At a stop {s} get off and {b} get on. How many are on the bus now?", "{m} - {s} + {b}"),
    ("{name} scored {a}, {b} and {c} points. What is the average?", "({a} + {b} + {c}) / 3"),
    ("A phone costs {p} dollars and a case costs {h} dollars. What do {d} of each cost together?", "({p} + {h}) * {d}"),
    ("{d} friends share a bill of {t2} euros equally. How much does each pay?", "{t2} / {d}"),
    ("A pack has {h} {items}. {name} buys {a} packs and gives {s2} {items} to {other}. How many {items} does {name} keep?", "{a} * {h} - {s2}"),
    ("A tank holds {m} litres. {s} litres are used and {b} litres are filled in again. How many litres are in the tank?", "{m} - {s} + {b}"),
    ("{name} types {a} words per minute. How many words is that in {h} minutes?", "{a} * {h}"),
)  # fmt: skip
UNSEEN_STORIES = (
    ("A library owns {m} books and lends out {s}. How many books are still there?", "{m} - {s}"),
    ("A baker sells {a} rolls in the morning and {b} in the afternoon. How many rolls is that?", "{a} + {b}"),
    ("Each of {a} teams has {h} players. How many players are there?", "{a} * {h}"),
    ("{name} cuts a rope of {t} cm into {q} equal pieces. How long is each piece?", "{t} / {q}"),
    ("A printer prints {h} pages a minute. How many pages does it print in {a} minutes?", "{a} * {h}"),
    ("{name} buys {d} pens for {h} cents each and a ruler for {b} cents. What does it cost altogether?", "{d} * {h} + {b}"),
    ("{name} collects {a} shells on Saturday and {b} on Sunday and loses {d}. How many shells are left?", "{a} + {b} - {d}"),
    ("A coat costs {p} euros. In the sale it is {r} percent cheaper. What does it cost now?", "{p} - {p} * {r} / 100"),
)  # fmt: skip


def make(random: Random, unseen: bool) -> Task:
    text, formula = random.choice(UNSEEN_STORIES if unseen else STORIES)
    numbers = _numbers(random)
    name, other = random.sample(NAMES, 2)
    expression = formula.format(**numbers)
    return Task(
        kind="word_problem",
        prompt=text.format(name=name, other=other, items=random.choice(ITEMS), **numbers),
        answer=shown(value(expression)),
        match="numeric",
        oracle=(OracleCall(tool="calculator__calculate", arguments={"expression": expression}),),
        unseen=unseen,
    )


def _numbers(random: Random) -> dict[str, int]:
    """a, b, c: anything; m > s: minuend; t divisible by q, t2 by d; h, d: small; big: more than d * h; p, r: price, rate."""
    top = random.choice((30, 100, 900))
    q, d, h = random.randint(2, 12), random.randint(2, 9), random.randint(2, 24)
    s = random.randint(2, top)
    return {
        "a": random.randint(2, top), "b": random.randint(2, top), "c": random.randint(2, top),
        "s": s, "m": s + random.randint(1, top), "q": q, "t": q * random.randint(2, 60), "d": d, "h": h,
        "big": d * h + random.randint(1, 60), "t2": d * random.randint(3, 50), "s2": random.randint(1, 2 * d),
        "p": random.randint(2, 40) * 10, "r": random.choice((5, 10, 15, 20, 25, 30, 40, 50)),
    }  # fmt: skip
