"""Tasks of several steps: a short plan first, revised when a result fills it in, then call by call."""

from random import Random

from journeyman.training.families import words
from journeyman.training.families.exact import shown, value
from journeyman.training.families.files import call, count, others
from journeyman.training.families.search import folder, plan
from journeyman.training.tasks import Task

FIND = {"lines": "Count the lines of {}", "words": "Count the words of {}", "bytes": "Find the size of {}"}


def make(random: Random, unseen: bool) -> Task:
    return random.choice((_scaled, _scaled, _scaled, _together, _cost, _stored, _share))(random, unseen)


def _scaled(random: Random, unseen: bool) -> Task:
    """A count, then arithmetic with it."""
    path, unit, n = words.path(random), random.choice(("lines", "words", "bytes")), random.randint(2, 99)
    text = words.prose(random, random.randint(1, 40))
    said, step, formula = random.choice(
        (
            ("times {n}", "Multiply {it} by {n}", "{it} * {n}"),
            ("times {n}", "Multiply {it} by {n}", "{it} * {n}"),
            ("multiplied by {n}", "Multiply {it} by {n}", "{it} * {n}"),
            ("plus {n}", "Add {n} to {it}", "{it} + {n}"),
            ("minus {n}", "Subtract {n} from {it}", "{it} - {n}"),
            ("divided by {n}", "Divide {it} by {n}", "{it} / {n}"),
            ("squared", "Square {it}", "{it} ** 2"),
        )
    )
    frames = (
        "How many {unit} are in {path}, {said}?", "How many {unit} does {path} have, {said}?", "What is the number of {unit} in {path} {said}?",
        "how many {unit} are in {path} {said}", "Take the number of {unit} in {path}, {said}.", "Count the {unit} of {path}, {said}.",
    )  # fmt: skip
    frame = "Number of {unit} in {path}, {said}: what is it?" if unseen else random.choice(frames)
    it = count(text, unit)
    find = FIND[unit].format(path)
    expression = formula.format(it=it, n=n)
    return Task(
        kind="plan",
        prompt=frame.format(unit=unit, path=path, said=said.format(n=n)),
        answer=shown(value(expression)),
        match="numeric",
        files=others(random, path) | {path: text},
        oracle=(
            plan(find, step.format(it="it", n=n), done=0),
            call("files__info", path=path),
            plan(find, step.format(it=it, n=n), done=1),
            call("calculator__calculate", expression=expression),
        ),
        unseen=unseen,
    )


def _together(random: Random, unseen: bool) -> Task:
    unit = random.choice(("lines", "words", "bytes"))
    one, two = words.path(random), words.path(random)
    while one == two:
        two = words.path(random)

    texts = {path: words.prose(random, random.randint(1, 30)) for path in (one, two)}
    a, b = (count(texts[path], unit) for path in (one, two))
    frames = ("How many {unit} do {one} and {two} have together?", "How many {unit} are in {one} and {two} in total?", "What is the total number of {unit} in {one} and {two}?")  # fmt: skip
    frame = "Add up the {unit} of {one} and {two}." if unseen else random.choice(frames)
    finds = (FIND[unit].format(one), FIND[unit].format(two))
    return Task(
        kind="plan",
        prompt=frame.format(unit=unit, one=one, two=two),
        answer=str(a + b),
        match="numeric",
        files=texts,
        oracle=(
            plan(*finds, "Add the two numbers", done=0),
            call("files__info", path=one),
            plan(*finds, f"Add the other number to {a}", done=1),
            call("files__info", path=two),
            plan(*finds, f"Add {a} and {b}", done=2),
            call("calculator__calculate", expression=f"{a} + {b}"),
        ),
        unseen=unseen,
    )


def _cost(random: Random, unseen: bool) -> Task:
    things = random.sample([item.rstrip("s") for item in words.ITEMS], random.randint(3, 6))
    prices = {thing: random.randint(2, 90) for thing in things}
    path, style = random.choice((("prices.csv", "{},{}"), ("prices.txt", "{}: {}"), ("pricelist.md", "- {}: {}")))
    asked, n = things[random.randrange(len(things))], random.randint(2, 40)
    frames = ("What do {n} {x}s cost according to {path}?", "How much are {n} {x}s? The prices are in {path}.", "Using {path}, what is the price of {n} {x}s?")  # fmt: skip
    frame = "See {path}: what must I pay for {n} {x}s?" if unseen else random.choice(frames)
    find = f"Find the price of one {asked} in {path}"
    return Task(
        kind="plan",
        prompt=frame.format(n=n, x=asked, path=path),
        answer=str(n * prices[asked]),
        match="numeric",
        files=others(random, path) | {path: "".join(style.format(*pair) + "\n" for pair in prices.items())},
        oracle=(
            plan(find, f"Multiply it by {n}", done=0),
            call("files__read", path=path),
            plan(find, f"Multiply {prices[asked]} by {n}", done=1),
            call("calculator__calculate", expression=f"{prices[asked]} * {n}"),
        ),
        unseen=unseen,
    )


def _stored(random: Random, unseen: bool) -> Task:
    """A count that ends up in another file."""
    path, target, unit = words.path(random), random.choice(("count.txt", "result.txt", "answer.txt", "out.md")), random.choice(("lines", "words", "bytes"))  # fmt: skip
    text = words.prose(random, random.randint(1, 30))
    frames = ("Write the number of {unit} in {path} to {target}", "Count the {unit} of {path} and write the number to {target}.", "Save the number of {unit} of {path} in {target}.")  # fmt: skip
    frame = "Put the number of {unit} in {path} into {target}." if unseen else random.choice(frames)
    number, find = str(count(text, unit)), FIND[unit].format(path)
    return Task(
        kind="plan",
        prompt=frame.format(unit=unit, path=path, target=target),
        answer=target,
        match="contains",
        says=f"Wrote {number} to {target}.",
        files=others(random, path, target) | {path: text},
        expects={target: number},
        allow=("files.write",),
        oracle=(
            plan(find, f"Write it to {target}", done=0),
            call("files__info", path=path),
            plan(find, f"Write {number} to {target}", done=1),
            call("files__write", path=target, content=number),
        ),
        unseen=unseen,
    )


def _share(random: Random, unseen: bool) -> Task:
    """A fact that has to be searched for, then arithmetic with it."""
    projects, rate = random.sample(words.CODENAMES, 4), random.choice((5, 10, 15, 20, 25, 30, 40, 50, 75))
    budgets = {name: random.randint(2, 90) * 100 for name in projects}
    name = projects[0]
    lines = [f"The budget of project {project} is {budget} euros." for project, budget in budgets.items()]
    said, step, formula = random.choice(
        (
            (f"{rate}% of the budget of project {name}", f"Take {rate}% of {{}}", f"{rate} / 100 * {{}}"),
            (f"{rate} percent of the budget of project {name}", f"Take {rate}% of {{}}", f"{rate} / 100 * {{}}"),
            (f"the budget of project {name} divided by {rate}", f"Divide {{}} by {rate}", f"{{}} / {rate}"),
            (f"twice the budget of project {name}", "Multiply {} by 2", "{} * 2"),
        )
    )
    find, expression = f"Find the budget of project {name}", formula.format(budgets[name])
    return Task(
        kind="plan",
        prompt=random.choice(
            ("What is {}?", "How much is {}?", "Compute {}.") if not unseen else ("Tell me {}.",)
        ).format(said),
        answer=shown(value(expression)),
        match="numeric",
        files=folder(random, lines),
        oracle=(
            plan(find, step.format("it"), done=0),
            call("search__search", query=f"project {name} budget"),
            plan(find, step.format(budgets[name]), done=1),
            call("calculator__calculate", expression=expression),
        ),
        unseen=unseen,
    )
