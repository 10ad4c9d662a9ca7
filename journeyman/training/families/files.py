"""Questions about files: counts, values, single lines, listings."""

from random import Random

from pydantic import JsonValue

from journeyman.training.families import words
from journeyman.training.tasks import OracleCall, Task

COUNTS = {
    "lines": (
        "How many lines does {} have?", "How many lines are in {}?", "how many lines does {} have", "Count the lines of {}.",
        "What is the number of lines in {}?", "Number of lines in {}?", "How long is {} in lines?", "line count of {}",
        "How many lines are there in the file {}?", "Tell me how many lines {} has.", "how long is {}, in lines?",
    ),
    "words": (
        "How many words does {} have?", "How many words are in {}?", "how many words does {} contain?", "Count the words in {}.",
        "What is the word count of {}?", "Number of words in {}?", "How many words are there in the file {}?", "word count of {}",
    ),
    "bytes": (
        "How many bytes does {} have?", "How many bytes are in {}?", "What is the size of {} in bytes?", "How big is {}?",
        "how large is {} in bytes?", "Size of {}?", "How many bytes does the file {} take?", "file size of {}",
    ),
}  # fmt: skip
UNSEEN_COUNTS = {
    "lines": ("Please count the lines in the file {}.", "{}: how many lines?"),
    "words": ("Please count the words of {}.", "{}: how many words?"),
    "bytes": ("Please tell me the byte size of {}.", "{}: how many bytes?"),
}


def count(text: str, unit: str) -> int:
    """As people count: a last line without a newline is a line."""
    if unit == "bytes":
        return len(text.encode())

    return len(text.split()) if unit == "words" else len(text.splitlines())


def call(tool: str, **arguments: JsonValue) -> OracleCall:
    return OracleCall(tool=tool, arguments=arguments)


def others(random: Random, *taken: str) -> dict[str, str]:
    """A few more files, so that the folder is not only the answer."""
    drawn = {words.path(random) for _ in range(random.randint(0, 4))}
    return {path: words.prose(random, random.randint(1, 6)) for path in sorted(drawn - set(taken))}


def fact(random: Random, unseen: bool) -> Task:
    if random.random() < 0.12:
        return _listing(random, unseen)

    path, unit = words.path(random), random.choice(("lines", "lines", "words", "bytes"))
    text = words.prose(random, random.randint(1, 60))
    frame = random.choice((UNSEEN_COUNTS if unseen else COUNTS)[unit])
    return Task(
        kind="file_fact",
        prompt=frame.format(path),
        answer=str(count(text, unit)),
        match="numeric",
        files=others(random, path) | {path: text},
        oracle=(call("files__info", path=path),),
        unseen=unseen,
    )


def _listing(random: Random, unseen: bool) -> Task:
    drawn = sorted({words.path(random).rsplit("/", 1)[-1] for _ in range(random.randint(1, 6))})
    folder = random.choice(("", "", *(name for name in words.FOLDERS if name)))
    frames = ("Which files are {}?", "List the files {}.", "What files are {}?", "Show me the files {}.", "What is {}?")
    frame = "Name the files {}." if unseen else random.choice(frames)
    where = f"in {random.choice(('the folder ', ''))}{folder.rstrip('/')}" if folder else random.choice(("here", "in this folder"))  # fmt: skip
    return Task(
        kind="file_fact",
        prompt=frame.format(where),
        answer="\n".join(drawn),
        files={folder + name: words.prose(random, 2) for name in drawn},
        oracle=(call("files__list", path=folder.rstrip("/")) if folder else call("files__list"),),
        unseen=unseen,
    )


def lookup(random: Random, unseen: bool) -> Task:
    return random.choice((_setting, _setting, _register, _register, _line))(random, unseen)


SETTINGS = {
    "port": lambda random: str(random.randint(1000, 9999)),
    "host": lambda random: f"{random.choice(words.CODENAMES).lower()}.example.org",
    "timeout": lambda random: str(random.randint(1, 120)),
    "user": lambda random: random.choice(words.NAMES).lower(),
    "database": lambda random: random.choice(words.CODENAMES).lower() + "_db",
    "colour": lambda random: random.choice(words.COLOURS),
    "version": lambda random: f"{random.randint(0, 9)}.{random.randint(0, 20)}.{random.randint(0, 9)}",
    "language": lambda random: random.choice(("en", "de", "fr", "pt", "ja", "es")),
    "workers": lambda random: str(random.randint(1, 64)),
    "log_level": lambda random: random.choice(("debug", "info", "warning", "error")),
    "region": lambda random: random.choice(words.CITIES).lower(),
    "retries": lambda random: str(random.randint(1, 12)),
    "theme": lambda random: random.choice(("dark", "light", "solar", "plain")),
    "title": lambda random: f"{random.choice(words.CODENAMES)} {random.choice(('Handbook', 'Station', 'Portal'))}",
    "max_size": lambda random: str(random.randint(1, 900)),
    "owner": words.person,
}
STYLES = {".ini": "{} = {}", ".toml": '{} = "{}"', ".yaml": "{}: {}", ".cfg": "{}={}", ".txt": "{}: {}", ".conf": "{} {}", ".env.txt": "{}={}"}  # fmt: skip


def _setting(random: Random, unseen: bool) -> Task:
    suffix = random.choice(tuple(STYLES))
    path = f"{random.choice(('', '', '', 'conf/', 'etc/'))}{random.choice(('config', 'settings', 'server', 'app', 'site', 'defaults'))}{suffix}"  # fmt: skip
    keys = random.sample(sorted(SETTINGS), random.randint(3, 8))
    values = {key: SETTINGS[key](random) for key in keys}
    asked = random.choice(keys)
    frames = (
        "What is the {key} in {path}?", "Which {key} is set in {path}?", "what is the {key} in {path}", "Look up the {key} in {path}.",
        "What {key} does {path} say?", "According to {path}, what is the {key}?", "Read {path} and tell me the {key}.", "{key} in {path}?",
        "In {path}, what is the {key}?", "Find the {key} in {path}.",
    )  # fmt: skip
    frame = "Which value does {key} have in {path}?" if unseen else random.choice(frames)
    head = ("[main]\n",) if suffix in {".ini", ".toml", ".cfg"} and random.random() < 0.6 else ("",)
    body = head[0] + "".join(STYLES[suffix].format(key, value) + "\n" for key, value in values.items())
    return _read_task(random, path, body, frame.format(key=random.choice((asked, asked.replace("_", " "))), path=path), values[asked], unseen=unseen)  # fmt: skip


def _register(random: Random, unseen: bool) -> Task:
    """A list of names with one value each."""
    what, draw, style, stem = random.choice(
        (
            ("phone number", lambda: f"555-{random.randint(1000, 9999)}", "{}: {}", "contacts.txt"),
            ("email", lambda: f"{random.choice(words.CODENAMES).lower()}{random.randint(1, 99)}@example.org", "{} <{}>", "people.txt"),
            ("room", lambda: f"{random.choice('ABCDE')}{random.randint(100, 499)}", "{} - room {}", "rooms.md"),
            ("age", lambda: str(random.randint(18, 90)), "{},{}", "ages.csv"),
            ("birthday", lambda: f"{random.randint(1, 28)} {random.choice(('March', 'May', 'June', 'August', 'October'))}", "{}: {}", "birthdays.txt"),
            ("city", lambda: random.choice(words.CITIES), "{},{}", "cities.csv"),
            ("score", lambda: str(random.randint(1, 300)), "{} {}", "scores.txt"),
            ("favourite colour", lambda: random.choice(words.COLOURS), "{}: {}", "colours.txt"),
            ("price", lambda: str(random.randint(1, 900)), "{},{}", "prices.csv"),
            ("stock", lambda: str(random.randint(1, 900)), "{}: {}", "stock.txt"),
        )
    )  # fmt: skip
    things = what in {"price", "stock"}
    names = random.sample([item.rstrip("s") for item in words.ITEMS] if things else words.NAMES, random.randint(3, 8))
    values = {name: draw() for name in names}
    asked = random.choice(names)
    frames = (
        ("What is the {what} of the {name} in {path}?", "Which {what} does {path} give for {name}?", "{what} of {name} according to {path}?", "Look in {path}: what is the {what} of {name}?")
        if things
        else ("What is {name}'s {what}? See {path}.", "What is the {what} of {name} in {path}?", "Look up {name}'s {what} in {path}.", "According to {path}, what is {name}'s {what}?", "Find the {what} of {name} in {path}.")
    )  # fmt: skip
    frame = "Open {path} and give me the {what} of {name}." if unseen else random.choice(frames)
    body = "".join(style.format(name, value) + "\n" for name, value in values.items())
    body = f"name,{what.split()[-1]}\n" + body if style == "{},{}" else body
    return _read_task(random, stem, body, frame.format(name=asked, what=what, path=stem), values[asked], unseen=unseen)


def _line(random: Random, unseen: bool) -> Task:
    path, lines = words.path(random), [words.sentence(random) for _ in range(random.randint(3, 20))]
    wanted = random.randint(1, len(lines))
    name = {1: "the first line"}.get(wanted, f"line {wanted}")
    frames = (
        "What is {name} of {path}?",
        "Show me {name} of {path}.",
        "What does {name} of {path} say?",
        "Read {name} of {path}.",
    )
    frame = "Print {name} of the file {path}." if unseen else random.choice(frames)
    return Task(
        kind="file_lookup",
        prompt=frame.format(name=name, path=path),
        answer=lines[wanted - 1],
        files=others(random, path) | {path: "\n".join(lines) + "\n"},
        oracle=(call("files__read", path=path, start=wanted, lines=1),),
        unseen=unseen,
    )


def _read_task(random: Random, path: str, body: str, prompt: str, answer: str, *, unseen: bool) -> Task:
    return Task(
        kind="file_lookup",
        prompt=prompt,
        answer=answer,
        files=others(random, path) | {path: body},
        oracle=(call("files__read", path=path),),
        unseen=unseen,
    )
