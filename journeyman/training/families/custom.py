"""Tools of the user's own: names and signatures the model has never seen, typed arguments of every JSON kind."""

from collections.abc import Mapping
from random import Random
from typing import Any

from journeyman.training.families import made_up, words
from journeyman.training.tasks import ExtraTool, OracleCall, Task

Drawn = tuple[str, str, Mapping[str, Any], Mapping[str, Any], str, tuple[str, ...], str]
"""Tool name, its description, properties (an optional one is marked), the right arguments, result, ways to ask, answer."""

S, I, N, B = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}  # noqa: E741
L = {"type": "array", "items": S}


def make(random: Random, unseen: bool) -> Task:
    seen_makers = (
        _sum,
        _attribute,
        _attribute,
        _action,
        _typed,
        _typed,
        _without,
        _question,
        _question,
        _order,
        _order,
    )
    maker = random.choice((_unseen, _unseen_attribute, _unseen_question, _unseen_order) if unseen else seen_makers)
    name, description, properties, arguments, result, frames, answer = maker(random)
    required = [key for key in properties if key in arguments]
    tool = ExtraTool(
        name=name,
        description=description,
        parameters={"type": "object", "properties": properties, "required": required},
        result=result,
    )
    return Task(
        kind="own_tool",
        prompt=random.choice(frames),
        answer=answer,
        extra=(tool, *_bystanders(random, name)),
        alone=name in ALONE or random.random() < 0.5,
        allow=("*",),
        oracle=(OracleCall(tool=name, arguments=arguments),),
        unseen=unseen,
    )


ALONE = frozenset({"add", "plus", "sum_two", "subtract", "multiply", "times", "divide"})
"""Tools that rival the calculator: with both at hand either call would be right."""


def _bystanders(random: Random, name: str) -> tuple[ExtraTool, ...]:
    """Other tools of the user's that have nothing to do with the question."""
    makers = (_action, _order, _order, _question)
    drawn = (random.choice(makers)(random) for _ in range(random.choice((0, 0, 1, 2, 3))))
    tools = {one[0]: ExtraTool(name=one[0], description=one[1], parameters={"type": "object", "properties": one[2], "required": list(one[3])}, result="") for one in drawn}  # fmt: skip
    return tuple(tool for key, tool in tools.items() if key != name)


def _question(random: Random, *, unseen: bool = False) -> Drawn:
    name, text, properties, subject, result, frames = made_up.question(random, unseen=unseen)
    return name, text, properties, dict.fromkeys(properties, subject), result, frames, result


def _unseen_question(random: Random) -> Drawn:
    return _question(random, unseen=True)


def _order(random: Random, *, unseen: bool = False) -> Drawn:
    name, text, properties, arguments, result, frames = made_up.order(random, unseen=unseen)
    return name, text, properties, arguments, result, frames, result


def _unseen_order(random: Random) -> Drawn:
    return _order(random, unseen=True)


def _sum(random: Random) -> Drawn:
    a, b = random.randint(1, 999), random.randint(1, 999)
    kind = random.choice((I, I, N))
    name, sign, word, result, text = random.choice(
        (
            ("add", "+", "plus", a + b, "Add two numbers."),
            ("add", "+", "plus", a + b, "Add a and b"),
            ("sum_two", "+", "plus", a + b, "The sum of two numbers"),
            ("subtract", "-", "minus", a - b, "Subtract b from a"),
            ("multiply", "*", "times", a * b, "Multiply two integers."),
            ("times", "*", "times", a * b, "a times b"),
        )
    )
    one, two = random.choice((("a", "b"), ("a", "b"), ("x", "y"), ("first", "second"), ("left", "right")))
    frames = (f"{a}{sign}{b}?", f"{a} {sign} {b}?", f"What is {a} {sign} {b}?", f"What is {a} {word} {b}?", f"Compute {a} {sign} {b}", f"{a} {word} {b}", f"How much is {a}{sign}{b}?")  # fmt: skip
    return name, text, {one: kind, two: kind}, {one: a, two: b}, str(result), frames, str(result)


ATTRIBUTES = (
    ("weather", "city", "city", ("What is the weather in {}?", "How is the weather in {}?", "weather in {}", "What's the weather like in {}?")),
    ("temperature", "city", "city", ("What is the temperature in {}?", "How warm is it in {}?", "temperature in {}?")),
    ("population", "city", "city", ("What is the population of {}?", "How many people live in {}?", "population of {}?")),
    ("time", "city", "city", ("What time is it in {}?", "Tell me the time in {}.", "What is the time in {}?")),
    ("salary", "name", "name", ("What is the salary of {}?", "What is {}'s salary?", "How much does {} earn?")),
    ("age", "person", "name", ("How old is {}?", "What is the age of {}?", "What is {}'s age?")),
    ("email", "person", "name", ("What is the email of {}?", "What is {}'s email?", "Find the email of {}.")),
    ("status", "project", "project", ("What is the status of {}?", "How is {} doing?", "status of {}?")),
    ("owner", "project", "project", ("Who owns {}?", "Who is the owner of {}?", "owner of {}?")),
    ("price", "item", "thing", ("What is the price of {}?", "How much is {}?", "What does {} cost?")),
    ("count", "fruit", "thing", ("How many {} are there?", "How many {} are in stock?", "How many {} do we have?", "Count the {}.")),
    ("room", "person", "name", ("In which room is {}?", "Which room has {}?", "Where does {} sit?")),
    ("capital", "country", "city", ("What is the capital of {}?", "capital of {}?")),
    ("stock", "product", "thing", ("How many {} are in stock?", "What is the stock of {}?", "stock of {}?")),
    ("definition", "word", "thing", ("What is the definition of {}?", "Define {}.", "What does {} mean?")),
)  # fmt: skip
UNSEEN_ATTRIBUTES = (
    ("humidity", "town", "city", ("What is the humidity in {}?", "How humid is it in {}?")),
    ("birthday", "friend", "name", ("When is the birthday of {}?", "What is {}'s birthday?")),
    ("colour", "object", "thing", ("Which colour is {}?", "What is the colour of {}?")),
)  # fmt: skip


def _attribute(random: Random) -> Drawn:
    return _lookup(random, random.choice(ATTRIBUTES))


def _unseen_attribute(random: Random) -> Drawn:
    return _lookup(random, random.choice(UNSEEN_ATTRIBUTES))


def _lookup(random: Random, row: tuple[str, str, str, tuple[str, ...]]) -> Drawn:
    what, argument, sort, frames = row
    subject = random.choice(
        {"city": words.CITIES, "name": words.NAMES, "project": words.CODENAMES, "thing": words.ITEMS}[sort]
    )
    name = random.choice((f"get_{what}", f"{what}__get", f"{what}", f"{what}_of", f"lookup_{what}", f"{what}__lookup", f"{sort}__{what}", f"fetch_{what}"))  # fmt: skip
    result = {
        "weather": f"{random.randint(-5, 35)} degrees, {random.choice(('sunny', 'cloudy', 'rain', 'windy', 'snow'))}",
        "time": f"{random.randint(0, 23)}:{random.randint(10, 59)}", "email": f"{subject.lower()}{random.randint(1, 99)}@example.org",
        "status": random.choice(("on track", "late", "finished", "blocked", "not started")), "owner": words.person(random),
        "definition": words.sentence(random), "birthday": f"{random.randint(1, 28)} May", "colour": random.choice(words.COLOURS),
    }.get(what, str(random.randint(2, 99999)))  # fmt: skip
    text = random.choice((f"Get the {what} of a {argument}", f"The {what} of a {argument}.", f"Look up the {what}", f"Returns the {what} for the given {argument}."))  # fmt: skip
    argument = random.choice((argument, argument, "name", "query", "id", "key"))
    return (
        name,
        text,
        {argument: S},
        {argument: subject},
        result,
        tuple(frame.format(subject) for frame in frames),
        result,
    )


def _action(random: Random) -> Drawn:
    """Does something with one or two strings and says so."""
    person, thing, city = random.choice(words.NAMES), random.choice(words.ITEMS), random.choice(words.CITIES)
    note = f"buy {thing}"
    done = random.choice(("ok", "done", "Done.", "saved", f"id {random.randint(10, 999)}"))
    name, text, properties, arguments, frames = random.choice(
        (
            ("todo__add", "Add a task to the list", {"item": S}, {"item": note}, (f"Add {note} to my todo list", f"Put '{note}' on the todo list.")),
            ("remember", "Keep a note", {"note": S}, {"note": note}, (f"Remember: {note}", f"Please remember '{note}'.")),
            ("send_message", "Send a message to somebody", {"to": S, "text": S}, {"to": person, "text": f"I am in {city}"}, (f"Tell {person}: I am in {city}", f"Send {person} the message 'I am in {city}'")),
            ("mail__send", "Send an email", {"to": S, "subject": S}, {"to": f"{person.lower()}@example.org", "subject": thing}, (f"Send an email to {person.lower()}@example.org with the subject {thing}", f"Email {person.lower()}@example.org about {thing}")),
            ("play_music", "Play a song", {"song": S}, {"song": f"{city} Nights"}, (f"Play {city} Nights", f"play the song {city} Nights")),
            ("calendar__book", "Book a meeting", {"person": S, "day": S}, {"person": person, "day": "Friday"}, (f"Book a meeting with {person} on Friday", f"Plan a meeting with {person} for Friday.")),
            ("open_ticket", "Open a ticket", {"title": S}, {"title": f"{thing} are missing"}, (f"Open a ticket: {thing} are missing", f"Open a ticket titled '{thing} are missing'")),
            ("travel__route", "Route between two cities", {"start": S, "end": S}, {"start": city, "end": "Rome"}, (f"How do I get from {city} to Rome?", f"Find the route from {city} to Rome.")),
            ("reverse", "Reverse a text", {"text": S}, {"text": thing}, (f"Reverse the text {thing}", f"What is {thing} reversed?")),
            ("order__cancel", "Cancel an order", {"order": S}, {"order": f"A-{random.randint(100, 999)}"}, ("Cancel order {order}", "Please cancel the order {order}.")),
        )
    )  # fmt: skip
    if name == "reverse":
        done = thing[::-1]

    frames = tuple(frame.replace("{order}", str(arguments.get("order"))) for frame in frames)
    return name, text, properties, arguments, done, frames, done


def _typed(random: Random) -> Drawn:
    """Integers, numbers, booleans, enums, lists, optional arguments."""
    n, x, on = random.randint(2, 90), random.randint(10, 300) / 10, random.choice((True, False))
    room, city = random.choice(("kitchen", "hall", "bedroom", "garage", "office")), random.choice(words.CITIES)
    a, b, c = random.sample(words.COLOURS, 3)
    level, symbol = random.choice(("low", "medium", "high")), random.choice(("EUR", "USD", "GBP", "JPY"))
    state = "on" if on else "off"
    result = random.choice(("ok", "done", str(random.randint(2, 5000))))
    name, text, properties, arguments, frames = random.choice(
        (
            ("lights__set", "Switch the lights of a room", {"room": S, "on": B}, {"room": room, "on": on}, (f"Turn the lights in the {room} {state}", f"Switch {state} the {room} lights.", f"lights {state} in the {room}")),
            ("timer__start", "Start a timer", {"minutes": I}, {"minutes": n}, (f"Start a timer for {n} minutes", f"Set a {n} minute timer.")),
            ("thermostat", "Set the temperature", {"celsius": N}, {"celsius": x}, (f"Set the temperature to {x} degrees", f"Make it {x} degrees.")),
            ("roll_dice", "Roll dice", {"sides": I, "count": I}, {"sides": n}, (f"Roll a die with {n} sides", f"Roll a {n}-sided die.")),
            ("roll_dice", "Roll dice", {"sides": I, "count": I}, {"sides": n, "count": 3}, (f"Roll 3 dice with {n} sides",)),
            ("user__by_id", "Find a user", {"id": I}, {"id": n}, (f"Who is user {n}?", f"Look up the user with id {n}.")),
            ("convert", "Convert money", {"amount": N, "to": {"type": "string", "enum": ["EUR", "USD", "GBP", "JPY"]}}, {"amount": n, "to": symbol}, (f"Convert {n} to {symbol}", f"How much is {n} in {symbol}?")),
            ("ticket__create", "Create a ticket", {"title": S, "priority": {"type": "string", "enum": ["low", "medium", "high"]}}, {"title": f"broken {room}", "priority": level}, (f"Create a {level} priority ticket: broken {room}", f"Create a ticket 'broken {room}' with priority {level}")),
            ("palette__save", "Save a list of colours", {"colours": L}, {"colours": [a, b, c]}, (f"Save the colours {a}, {b} and {c}", f"Save this palette: {a}, {b}, {c}")),
            ("tags__set", "Set the tags of a page", {"page": S, "tags": L}, {"page": city.lower(), "tags": [a, b]}, (f"Tag the page {city.lower()} with {a} and {b}",)),
            ("book_table", "Book a table", {"people": I, "time": S, "outside": B}, {"people": n % 9 + 1, "time": "19:30"}, (f"Book a table for {n % 9 + 1} people at 19:30",)),
            ("is_prime", "Is a number prime", {"n": I}, {"n": n}, (f"Is {n} a prime number?", f"Is {n} prime?")),
            ("random_number", "Draw a number between two bounds", {"low": I, "high": I}, {"low": 1, "high": n}, (f"Give me a random number between 1 and {n}",)),
            ("volume", "Set the volume", {"percent": I}, {"percent": n}, (f"Set the volume to {n}%", f"volume {n} percent")),
        )
    )  # fmt: skip
    if name == "is_prime":
        result = random.choice(("true", "false", "yes", "no"))

    return name, text, properties, arguments, result, frames, result


def _without(random: Random) -> Drawn:
    """No arguments at all."""
    name, text, frames, result = random.choice(
        (
            ("today", "Today's date", ("What day is it today?", "What is today's date?", "Which date is today?"), f"{random.randint(1, 28)} May 2026"),
            ("clock__now", "The time now", ("What time is it?", "Tell me the time.", "what time is it now"), f"{random.randint(0, 23)}:{random.randint(10, 59)}"),
            ("todo__list", "Everything on the list", ("What is on my todo list?", "Show my todo list."), f"buy {random.choice(words.ITEMS)}"),
            ("battery", "State of the battery", ("How full is the battery?", "battery level?"), f"{random.randint(1, 100)}%"),
            ("whoami", "Name of the user", ("Who am I?", "What is my user name?"), random.choice(words.NAMES).lower()),
            ("quote", "A quote of the day", ("Give me the quote of the day", "What is the quote of the day?"), words.sentence(random)),
        )
    )  # fmt: skip
    return name, text, {}, {}, result, frames, result


def _unseen(random: Random) -> Drawn:
    n, city, thing, person = (
        random.randint(2, 90),
        random.choice(words.CITIES),
        random.choice(words.ITEMS),
        random.choice(words.NAMES),
    )
    result = random.choice(("ok", str(random.randint(2, 5000)), f"ref {random.randint(100, 999)}"))
    name, text, properties, arguments, frames = random.choice(
        (
            ("hotel__reserve", "Reserve a hotel room", {"city": S, "nights": I}, {"city": city, "nights": n % 9 + 1}, (f"Reserve a hotel in {city} for {n % 9 + 1} nights",)),
            ("alarm", "Set an alarm", {"hour": I}, {"hour": n % 24}, (f"Set an alarm for {n % 24} o'clock",)),
            ("heating__switch", "Switch the heating", {"on": B}, {"on": True}, ("Turn the heating on", "Switch on the heating")),
            ("shopping__add", "Add things to the shopping list", {"items": L}, {"items": [thing, "milk"]}, (f"Add {thing} and milk to the shopping list",)),
            ("count_letters", "Count the letters of a word", {"word": S}, {"word": thing}, (f"How many letters has the word {thing}?",)),
            ("invite", "Invite somebody to an event", {"guest": S, "event": S}, {"guest": person, "event": "party"}, (f"Invite {person} to the party",)),
            ("fan", "Set the speed of the fan", {"speed": {"type": "string", "enum": ["slow", "fast"]}}, {"speed": "fast"}, ("Set the fan to fast", "Make the fan run fast")),
        )
    )  # fmt: skip
    return name, text, properties, arguments, result, frames, result
