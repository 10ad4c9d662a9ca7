"""Questions over a folder of Markdown files: one search, or a search that tells what to search for next."""

from random import Random

from journeyman.training.families import words
from journeyman.training.families.files import call
from journeyman.training.tasks import OracleCall, Task

NOTHING = "I could not find that."


def single(random: Random, unseen: bool) -> Task:
    """One fact among others of its sort; now and then it is not there."""
    fact = random.choice(UNSEEN_FACTS if unseen else FACTS)
    subject, *rest = random.sample(_subjects(fact[0]), random.randint(2, 6))
    values = {name: _value(random, fact[1]) for name in (subject, *rest)}
    statement, question, query = random.choice(fact[2]), random.choice(fact[3]), fact[4]
    lines = [statement.format(x=name, v=value) for name, value in values.items()]
    missing = random.random() < 0.1
    task = Task(
        kind="search",
        prompt=question.format(x=subject),
        answer=values[subject],
        files=folder(random, lines[1:] if missing else lines),
        oracle=(call("search__search", query=query.format(x=subject)),),
        unseen=unseen,
    )
    return task.model_copy(update={"match": "refusal", "answer": "", "says": NOTHING}) if missing else task


def adaptive(random: Random, unseen: bool) -> Task:
    """What the first search finds is what the second one looks for."""
    hops = (_team_of_project, _team_of_project, _person_of_place, _office_of_project, _page_of_project)
    task = (_room_of_machine if unseen else random.choice(hops))(random)
    return task.model_copy(update={"unseen": unseen})


def folder(random: Random, lines: list[str]) -> dict[str, str]:
    """The lines, spread over a few Markdown files among lines that say nothing about it."""
    shelf = random.choice(("", "", "notes/", "wiki/", "handbook/"))
    stems = random.sample(
        ("people", "projects", "places", "general", "office", "faq", "history", "teams", "welcome"),
        random.randint(1, 4),
    )
    pages: dict[str, list[str]] = {f"{shelf}{stem}.md": [f"# {stem.capitalize()}", ""] for stem in stems}
    for line in random.sample(lines, len(lines)):
        page = pages[random.choice(list(pages))]
        page += [line, *random.choice(([], [""], [words.sentence(random)], ["", words.sentence(random), ""]))]

    return {path: "\n".join(page) + "\n" for path, page in sorted(pages.items())}


def plan(*steps: str, done: int) -> OracleCall:
    return call("update_plan", steps=list(steps), done=done)


def _subjects(sort: str) -> tuple[str, ...]:
    return {"place": words.PLACES, "project": words.CODENAMES, "team": words.TEAMS, "name": words.NAMES, "city": words.CITIES, "service": words.SERVICES, "object": words.GOODS, "thing": tuple(item.rstrip("s") for item in words.ITEMS)}[sort]  # fmt: skip


def _value(random: Random, sort: str) -> str:
    return {
        "time": f"{random.randint(6, 21)}:{random.choice(('00', '15', '30', '45'))}",
        "date": f"{random.randint(1, 28)} {random.choice(('January', 'March', 'April', 'May', 'June', 'August', 'October', 'November'))}",
        "person": words.person(random),
        "number": str(random.randint(2, 950)),
        "money": f"{random.randint(2, 90) * 100}",
        "room": f"{random.choice('ABCDEFG')}{random.randint(1, 420)}",
        "port": str(random.randint(1000, 9999)),
        "address": f"10.{random.randint(0, 9)}.{random.randint(0, 99)}.{random.randint(1, 250)}",
        "phone": f"555-{random.randint(1000, 9999)}",
        "colour": random.choice(words.COLOURS),
        "city": random.choice(words.CITIES),
        "day": random.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")),
        "language": random.choice(("Python", "Rust", "Go", "Java", "Kotlin", "Ruby", "Elixir", "Haskell")),
        "code": f"{random.choice(words.CODENAMES).lower()}-{random.randint(10, 99)}",
    }[sort]


FACTS = (
    ("place", "time", ("The {x} opens at {v}.", "Opening hour of the {x}: {v}", "- the {x} opens at {v} on weekdays"), ("When does the {x} open?", "What time does the {x} open?", "What is the opening hour of the {x}?", "At what time does the {x} open?"), "{x} opening"),
    ("place", "time", ("The {x} closes at {v}.", "- the {x} closes at {v} every day"), ("When does the {x} close?", "What time does the {x} close?", "At what time does the {x} close?"), "{x} closes"),
    ("place", "phone", ("The phone number of the {x} is {v}.", "{x}: phone {v}"), ("What is the phone number of the {x}?", "phone number of the {x}?"), "{x} phone number"),
    ("place", "person", ("The manager of the {x} is {v}.", "{v} manages the {x}."), ("Who is the manager of the {x}?", "Who manages the {x}?", "who runs the {x}"), "{x} manager"),
    ("project", "person", ("Project {x} is led by {v}.", "{v} leads project {x}."), ("Who leads project {x}?", "Who is the leader of project {x}?", "who is leading project {x}?"), "project {x} leader"),
    ("project", "money", ("The budget of project {x} is {v} euros.", "Project {x} has a budget of {v} euros."), ("What is the budget of project {x}?", "How large is the budget of project {x}?", "What budget does project {x} have?"), "project {x} budget"),
    ("project", "date", ("Project {x} starts on {v}.", "Start of project {x}: {v}"), ("When does project {x} start?", "On which date does project {x} start?", "What is the start date of project {x}?"), "project {x} start"),
    ("project", "date", ("The deadline of project {x} is {v}.", "Project {x}: deadline {v}"), ("What is the deadline of project {x}?", "When is project {x} due?"), "project {x} deadline"),
    ("project", "language", ("Project {x} is written in {v}.", "- {x} is a project written in {v}"), ("In which language is project {x} written?", "Which programming language does project {x} use?"), "project {x} language"),
    ("team", "room", ("The {x} team meets in room {v}.", "Meeting room of the {x} team: {v}"), ("Where does the {x} team meet?", "In which room does the {x} team meet?", "Which room does the {x} team meet in?"), "{x} team room"),
    ("team", "day", ("The {x} team meets every {v}.", "Meeting day of the {x} team: {v}"), ("On which day does the {x} team meet?", "When does the {x} team meet?"), "{x} team meeting day"),
    ("team", "number", ("The {x} team has {v} members.", "{v} people work in the {x} team."), ("How many members does the {x} team have?", "How many people work in the {x} team?"), "{x} team members"),
    ("name", "colour", ("{x}'s favourite colour is {v}.", "The favourite colour of {x} is {v}."), ("What is {x}'s favourite colour?", "Which colour does {x} like best?"), "{x} favourite colour"),
    ("name", "city", ("{x} lives in {v}.", "{x} has lived in {v} since last year."), ("Where does {x} live?", "In which city does {x} live?"), "{x} lives city"),
    ("name", "date", ("{x}'s birthday is on {v}.", "Birthday of {x}: {v}"), ("When is {x}'s birthday?", "What is {x}'s birthday?"), "{x} birthday"),
    ("city", "number", ("The office in {x} has {v} desks.", "Our {x} office: {v} desks"), ("How many desks does the office in {x} have?", "How many desks are in the {x} office?"), "{x} office desks"),
    ("thing", "room", ("The {x} is kept in room {v}.", "You find the {x} in room {v}."), ("Where is the {x} kept?", "In which room is the {x}?", "Where can I find the {x}?"), "{x} room"),
    ("service", "port", ("The {x} listens on port {v}.", "{x}: port {v}", "- the {x} uses port {v}"), ("Which port does the {x} listen on?", "What port does the {x} use?", "On which port is the {x}?"), "{x} port"),
    ("service", "address", ("The {x} is at {v}.", "Address of the {x}: {v}"), ("What is the address of the {x}?", "Which address does the {x} have?"), "{x} address"),
    ("service", "code", ("The password of the {x} is {v}.", "{x}, password: {v}"), ("What is the password of the {x}?", "Which password does the {x} have?"), "{x} password"),
    ("service", "person", ("{v} looks after the {x}.", "The {x} is looked after by {v}."), ("Who looks after the {x}?", "who looks after the {x}"), "{x} looks after"),
    ("object", "person", ("The {x} is kept by {v}.", "{v} keeps the {x}."), ("Who keeps the {x}?", "Who has the {x}?", "By whom is the {x} kept?"), "{x} kept"),
    ("object", "room", ("The {x} is in room {v}.", "Room {v}: {x}"), ("In which room is the {x}?", "Where is the {x}?", "where do I find the {x}?"), "{x} room"),
    ("place", "day", ("The {x} is closed on {v}.", "{x}: closed every {v}"), ("On which day is the {x} closed?", "Which day is the {x} closed?"), "{x} closed"),
    ("place", "city", ("The {x} is in {v}.", "Our {x} is in the centre of {v}."), ("In which city is the {x}?", "Where is the {x}?"), "{x}"),
    ("thing", "number", ("One {x} costs {v} euros.", "Price of a {x}: {v} euros"), ("What does a {x} cost?", "How much is one {x}?", "What is the price of a {x}?"), "{x} price"),
    ("object", "number", ("We have {v} of the {x}s.", "There are {v} {x}s."), ("How many {x}s do we have?", "How many {x}s are there?"), "{x}s"),
    ("project", "code", ("The code word of project {x} is {v}.", "Code word for project {x}: {v}"), ("What is the code word of project {x}?", "Tell me the code word of project {x}."), "project {x} code word"),
)  # fmt: skip
UNSEEN_FACTS = (
    ("place", "money", ("The rent of the {x} is {v} euros.", "{x}: rent {v} euros"), ("What is the rent of the {x}?", "How high is the rent of the {x}?"), "{x} rent"),
    ("project", "number", ("Project {x} has {v} users.", "- {v} people use project {x}"), ("How many users does project {x} have?",), "project {x} users"),
    ("name", "room", ("{x} works in room {v}.", "{x} sits in room {v}."), ("In which room does {x} work?", "Where does {x} work?"), "{x} works room"),
)  # fmt: skip


def _team_of_project(random: Random) -> Task:
    projects, teams = random.sample(words.CODENAMES, 4), random.sample(words.TEAMS, 4)
    statement, question, query, sort, what = random.choice(
        (
            ("The {x} team is led by {v}.", "Who leads the team that owns project {p}?", "{x} team led", "person", "who leads"),
            ("The {x} team is led by {v}.", "Who is the leader of the team that owns project {p}?", "{x} team led", "person", "who leads"),
            ("The {x} team meets in room {v}.", "Where does the team that owns project {p} meet?", "{x} team room", "room", "where they meet:"),
            ("The {x} team has {v} members.", "How many members has the team that owns project {p}?", "{x} team members", "number", "the members of"),
        )
    )  # fmt: skip
    values = [_value(random, sort) for _ in teams]
    owned = random.choice(("Project {p} is owned by the {x} team.", "The {x} team owns project {p}."))
    lines = [owned.format(p=p, x=x) for p, x in zip(projects, teams, strict=True)]
    lines += [statement.format(x=x, v=v) for x, v in zip(teams, values, strict=True)]
    first = f"Find the team that owns project {projects[0]}"
    return _two_hops(
        random, question.format(p=projects[0]), lines, f"project {projects[0]} team", query.format(x=teams[0]), values[0],
        (first, f"Find {what} the team"), (first, f"Find {what} the {teams[0]} team"),
    )  # fmt: skip


def _person_of_place(random: Random) -> Task:
    places, people = random.sample(words.PLACES, 3), [words.person(random) for _ in range(3)]
    statement, question, query, sort, what = random.choice(
        (
            ("The phone number of {x} is {v}.", "What is the phone number of the manager of the {p}?", "{x} phone number", "phone", "the phone number of"),
            ("{x} lives in {v}.", "Where does the manager of the {p} live?", "{x} lives", "city", "the home of"),
            ("{x} has room {v}.", "Which room does the manager of the {p} have?", "{x} room", "room", "the room of"),
        )
    )  # fmt: skip
    values = [_value(random, sort) for _ in people]
    lines = [f"The manager of the {p} is {x}." for p, x in zip(places, people, strict=True)]
    lines += [statement.format(x=x, v=v) for x, v in zip(people, values, strict=True)]
    first = f"Find the manager of the {places[0]}"
    return _two_hops(
        random, question.format(p=places[0]), lines, f"{places[0]} manager", query.format(x=people[0]), values[0],
        (first, f"Find {what} the manager"), (first, f"Find {what} {people[0]}"),
    )  # fmt: skip


def _office_of_project(random: Random) -> Task:
    projects, cities = random.sample(words.CODENAMES, 3), random.sample(words.CITIES, 3)
    phones = [_value(random, "phone") for _ in cities]
    lines = [f"Project {p} is run from the {x} office." for p, x in zip(projects, cities, strict=True)]
    lines += [f"The phone number of the {x} office is {v}." for x, v in zip(cities, phones, strict=True)]
    first = f"Find the office of project {projects[0]}"
    return _two_hops(
        random, f"What is the phone number of the office that runs project {projects[0]}?", lines, f"project {projects[0]} office", f"{cities[0]} office phone number", phones[0],
        (first, "Find the phone number of the office"), (first, f"Find the phone number of the {cities[0]} office"),
    )  # fmt: skip


def _room_of_machine(random: Random) -> Task:
    things, people = random.sample(words.ITEMS, 3), random.sample(words.NAMES, 3)
    rooms = [_value(random, "room") for _ in people]
    lines = [f"The key to the {t} is with {x}." for t, x in zip(things, people, strict=True)]
    lines += [f"{x} works in room {v}." for x, v in zip(people, rooms, strict=True)]
    first = f"Find who has the key to the {things[0]}"
    return _two_hops(
        random, f"In which room works the person who has the key to the {things[0]}?", lines, f"key {things[0]}", f"{people[0]} room", rooms[0],
        (first, "Find the room of that person"), (first, f"Find the room of {people[0]}"),
    )  # fmt: skip


def _page_of_project(random: Random) -> Task:
    """The hit only says where to read on."""
    projects, (what, sort) = random.sample(words.CODENAMES, 3), random.choice((("budget", "money"), ("deadline", "date"), ("leader", "person"), ("code word", "code")))  # fmt: skip
    pages = [f"projects/{name.lower()}.md" for name in projects]
    values = [_value(random, sort) for _ in projects]
    files = {
        "index.md": "# Index\n\n"
        + "".join(f"For project {p} see {page}.\n" for p, page in zip(projects, pages, strict=True))
    }
    for p, page, v in zip(projects, pages, values, strict=True):
        files[page] = f"# {p}\n\n{words.sentence(random)}\n{what.capitalize()}: {v}\n"

    return Task(
        kind="adaptive_search",
        prompt=f"What is the {what} of project {projects[0]}? Start from the index.",
        answer=values[0],
        files=files,
        oracle=(call("search__search", query=f"project {projects[0]}"), call("search__open", path=pages[0])),
    )


def _two_hops(random: Random, prompt: str, lines: list[str], first: str, second: str, answer: str, before: tuple[str, str], after: tuple[str, str]) -> Task:  # fmt: skip
    return Task(
        kind="adaptive_search",
        prompt=prompt,
        answer=answer,
        files=folder(random, lines),
        oracle=(
            plan(*before, done=0),
            call("search__search", query=first),
            plan(*after, done=1),
            call("search__search", query=second),
        ),
    )
