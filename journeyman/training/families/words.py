"""Names, things and sentences that generated files and questions are made of."""

from random import Random

NAMES = (
    "Anna", "Ben", "Clara", "David", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Maria", "Noah",
    "Olga", "Pedro", "Quinn", "Rosa", "Sam", "Tara", "Uma", "Viktor", "Wei", "Xenia", "Yusuf", "Zoe", "Tom", "Mia", "Lena",
)  # fmt: skip
SURNAMES = (
    "Lopez", "Novak", "Okafor", "Becker", "Silva", "Tanaka", "Haddad", "Moreau", "Kowalski", "Jensen", "Rossi", "Patel",
    "Nguyen", "Fischer", "Adeyemi", "Larsen", "Costa", "Ivanova", "Murphy", "Sato", "Weber", "Khan", "Duarte", "Lindgren",
)  # fmt: skip
ITEMS = (
    "apples", "pencils", "books", "marbles", "stickers", "cookies", "oranges", "stamps", "cards", "bottles", "shirts",
    "chairs", "lamps", "eggs", "candles", "coins", "flowers", "tickets", "cups", "buttons", "notebooks", "balloons",
)  # fmt: skip
CODENAMES = (
    "Alder", "Birch", "Cedar", "Delta", "Ember", "Falcon", "Granite", "Harbor", "Iris", "Juniper", "Kestrel", "Lumen",
    "Maple", "Nimbus", "Orchid", "Pebble", "Quartz", "Raven", "Sable", "Tundra", "Umber", "Violet", "Willow", "Zephyr",
)  # fmt: skip
TEAMS = (
    "Heron", "Badger", "Otter", "Lynx", "Marlin", "Osprey", "Panther", "Robin", "Stork", "Tiger", "Walrus", "Wombat",
    "Bison", "Crane", "Dingo", "Egret", "Ferret", "Gecko", "Hornet", "Ibex", "Jackal", "Koala", "Lemur", "Moose",
)  # fmt: skip
PLACES = (
    "museum", "library", "bakery", "swimming pool", "town hall", "harbour office", "pharmacy", "bookshop", "theatre",
    "workshop", "canteen", "sports hall", "art gallery", "post office", "botanical garden", "observatory", "cinema",
)  # fmt: skip
SERVICES = (
    "wiki", "mail server", "printer", "database", "build server", "backup", "intranet", "calendar", "web shop", "forum", "proxy",
    "chat server", "time server", "scanner", "monitor", "archive", "gateway", "camera", "dashboard",
)  # fmt: skip
GOODS = (
    "key", "projector", "first aid kit", "ladder", "badge", "drill", "coffee machine", "tent", "boat", "bicycle", "microscope",
    "whiteboard", "guitar", "toolbox", "fridge", "safe", "screen", "van", "sewing machine", "kayak",
)  # fmt: skip
CITIES = (
    "Lisbon", "Oslo", "Turin", "Ghent", "Porto", "Malmo", "Graz", "Lyon", "Cork", "Bergen", "Seville", "Krakow", "Utrecht",
    "Leeds", "Zagreb", "Tartu", "Basel", "Nantes", "Bremen", "Galway", "Paris", "Berlin", "Tokyo", "Nairobi", "Lima",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "white", "black", "grey", "brown", "silver", "pink")
SUBJECTS = ("The team", "Everyone", "The printer", "A visitor", "Our neighbour", "The kitchen", "The report", "The old bridge", "My sister", "The garden", "The committee", "A small dog")  # fmt: skip
VERBS = ("needs", "likes", "found", "forgot", "ordered", "painted", "repaired", "waits for", "talked about", "cleaned", "photographed", "wants")  # fmt: skip
OBJECTS = ("new paper", "the blue door", "a short meeting", "some fresh bread", "the last train", "two more chairs", "a better plan", "the green bicycle", "an early lunch", "the broken lamp", "a map of the town", "warm tea")  # fmt: skip
STEMS = ("notes", "report", "todo", "draft", "minutes", "summary", "journal", "readme", "letter", "agenda", "story", "log", "plan", "ideas", "poem", "speech", "recipe", "diary", "essay", "changes")  # fmt: skip
FOLDERS = ("", "", "", "", "docs/", "data/", "work/", "archive/", "texts/")
ENDINGS = (".txt", ".txt", ".txt", ".md", ".md", ".log", ".csv", ".rst", ".py")


def sentence(random: Random) -> str:
    return f"{random.choice(SUBJECTS)} {random.choice(VERBS)} {random.choice(OBJECTS)}."


def prose(random: Random, lines: int) -> str:
    """So many lines of plain text, most of one sentence, some empty; it ends with or without a newline."""
    body = [random.choice(("", sentence(random), sentence(random), sentence(random) + " " + sentence(random))) for _ in range(lines)]  # fmt: skip
    body[0], body[-1] = sentence(random), sentence(random)
    return "\n".join(body) + random.choice(("\n", "\n", ""))


COMMON = (
    "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "main.py", "index.html", "data.json", "notes.txt", "todo.txt", "pyproject.toml",
    "requirements.txt", "src/app.py", "docs/index.md", "style.css", "results.csv", "server.log", "my notes.txt", "config.yaml", "test.sh",
)  # fmt: skip


def path(random: Random) -> str:
    if random.random() < 0.15:
        return random.choice(COMMON)

    return f"{random.choice(FOLDERS)}{random.choice(STEMS)}{random.choice(('', '', '', '2', '-old', '_2024'))}{random.choice(ENDINGS)}"


def person(random: Random) -> str:
    return f"{random.choice(NAMES)} {random.choice(SURNAMES)}"
