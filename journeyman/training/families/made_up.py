"""Tools put together from words, so that no list of tools is like another: the model has to read what it is offered."""

from random import Random
from typing import Any

from journeyman.training.families import words

QUALITIES = (
    "height", "weight", "length", "speed", "rating", "rank", "balance", "score", "level", "distance", "duration", "voltage",
    "pressure", "depth", "area", "volume", "cost", "fee", "rent", "tax", "discount", "deadline", "start date", "birthday",
    "phone number", "address", "postcode", "department", "manager", "teacher", "author", "title", "language", "currency",
    "version", "licence", "size", "category", "type", "brand", "material", "origin", "flavour", "calories", "battery level",
    "number of seats", "opening time", "next train", "platform", "gate", "delay", "forecast", "wind speed", "sunrise",
)  # fmt: skip
UNSEEN_QUALITIES = ("humidity", "nickname", "shoe size", "frequency", "altitude", "salary", "horsepower", "blood type")
SUBJECTS = {
    "name": words.NAMES,
    "city": words.CITIES,
    "project": words.CODENAMES,
    "item": words.ITEMS,
    "team": words.TEAMS,
}
VERBS = (
    "open", "close", "start", "stop", "lock", "unlock", "check", "clean", "print", "reset", "pause", "update", "archive",
    "delete", "reserve", "order", "cancel", "repair", "test", "show", "charge", "move", "pack", "load", "sell", "share",
)  # fmt: skip
UNSEEN_VERBS = ("inspect", "paint", "rename", "refill", "borrow", "translate")
NOUNS = (
    "door", "window", "gate", "heater", "oven", "lamp", "camera", "alarm", "report", "invoice", "ticket", "order", "parcel",
    "server", "backup", "account", "table", "seat", "room", "bike", "car", "pump", "valve", "robot", "printer", "playlist",
    "poster", "calendar", "machine", "drone", "sensor", "lift", "garage", "garden", "pool", "shop", "contract", "page",
)  # fmt: skip
PLACES = ("kitchen", "hall", "cellar", "office", "attic", "garden", "garage", "library", "lobby", "workshop")
S: dict[str, Any] = {"type": "string"}
I: dict[str, Any] = {"type": "integer"}  # noqa: E741 - beside S
B: dict[str, Any] = {"type": "boolean"}


def question(random: Random, *, unseen: bool) -> tuple[Any, ...]:
    """`get_height(person: string)`: asked for one quality of one thing."""
    what = random.choice(UNSEEN_QUALITIES if unseen else QUALITIES)
    sort = random.choice(sorted(SUBJECTS))
    subject = random.choice(SUBJECTS[sort])
    stem = what.replace(" ", "_")
    name = random.choice(
        (
            f"get_{stem}",
            f"{stem}",
            f"{sort}__{stem}",
            f"{stem}_of_{sort}",
            f"find_{stem}",
            f"{stem}__lookup",
            f"show_{stem}",
        )
    )
    result = random.choice(
        (
            str(random.randint(1, 9999)),
            words.person(random),
            random.choice(words.COLOURS),
            f"{random.randint(1, 99)} {random.choice(('km', 'kg', 'm', 'euros', '%', 'hours'))}",
            f"{random.choice(words.CODENAMES)}-{random.randint(1, 99)}",
        )
    )
    frames = (
        f"What is the {what} of {subject}?",
        f"{what} of {subject}?",
        f"Tell me the {what} of {subject}.",
        f"Which {what} does {subject} have?",
        f"Find the {what} of {subject}.",
        f"I need the {what} of {subject}",
    )
    text = random.choice(
        (f"The {what} of a {sort}", f"Get the {what} of a {sort}", f"Look up the {what}.", f"{what.capitalize()}")
    )
    return name, text, {random.choice((sort, sort, "name", "key", "query")): S}, subject, result, frames


def order(random: Random, *, unseen: bool) -> tuple[Any, ...]:
    """`open_door(place: string)`: told to do something, with up to three arguments."""
    verb, noun = random.choice(UNSEEN_VERBS if unseen else VERBS), random.choice(NOUNS)
    name = random.choice(
        (f"{verb}_{noun}", f"{noun}__{verb}", f"{verb}{noun.capitalize()}", f"{verb}_the_{noun}", f"{verb}")
    )
    n, place, person = random.randint(1, 400), random.choice(PLACES), random.choice(words.NAMES)
    fast = random.choice((True, False))
    properties, arguments, tail = random.choice(
        (
            ({}, {}, ""),
            ({noun if name == verb else "id": I}, {noun if name == verb else "id": n}, f" {n}"),
            ({"place": S}, {"place": place}, f" in the {place}"),
            ({"room": S}, {"room": place}, f" in the {place}"),
            ({"person": S}, {"person": person}, f" for {person}"),
            ({"user": S, "count": I}, {"user": person, "count": n}, f" for {person} {n} times"),
            ({"room": S, "minutes": I}, {"room": place, "minutes": n}, f" in the {place} for {n} minutes"),
            ({"id": I, "owner": S}, {"id": n, "owner": person}, f" {n} of {person}"),
            ({"id": I, "urgent": B}, {"id": n, "urgent": fast}, f" {n}, {'urgent' if fast else 'not urgent'}"),
        )
    )
    result = random.choice(
        ("ok", "done", "Done.", f"{noun} {n}", f"id {n + 7}", f"the {noun} is ready", f"no {noun}", "queued")
    )
    frames = (
        f"{verb.capitalize()} the {noun}{tail}",
        f"{verb} the {noun}{tail}",
        f"Please {verb} the {noun}{tail}.",
        f"Can you {verb} the {noun}{tail}?",
        f"I want you to {verb} the {noun}{tail}.",
    )
    text = random.choice(
        (f"{verb.capitalize()} the {noun}", f"{verb.capitalize()} a {noun}.", f"Used to {verb} a {noun}")
    )
    return name, text, properties, arguments, result, frames
