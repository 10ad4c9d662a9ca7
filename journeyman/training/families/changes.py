"""Writing and editing files, and what to do when something about a file goes wrong."""

from random import Random

from journeyman.training.families import code, words
from journeyman.training.families.files import call, fact, lookup, others
from journeyman.training.tasks import Task


def change(random: Random, unseen: bool) -> Task:
    return (_write if random.random() < 0.6 else _edit)(random, unseen)


def _write(random: Random, unseen: bool) -> Task:
    path = words.path(random)
    text = random.choice(("hello", "done", "to be continued", f"{random.choice(words.NAMES)} was here", words.sentence(random), words.sentence(random), f"{random.choice(words.ITEMS)}: {random.randint(1, 99)}"))  # fmt: skip
    frames = (
        "Write {text} to {path}", 'Write "{text}" to {path}', "Save '{text}' in {path}.", 'Create {path} with the text "{text}"', "Put '{text}' into {path}",
        "Make a file {path} that says '{text}'", 'Write the text "{text}" into the file {path}.', "Create a file {path} containing: {text}",
    )  # fmt: skip
    frame = 'Store "{text}" in the file {path}' if unseen else random.choice(frames)
    return Task(
        kind="file_change",
        prompt=frame.format(text=text, path=path),
        answer=path,
        match="contains",
        says=f"Wrote {path}.",
        files=others(random, path),
        expects={path: text},
        allow=("files.write",),
        oracle=(call("files__write", path=path, content=text),),
        unseen=unseen,
    )


def _edit(random: Random, unseen: bool) -> Task:
    path = words.path(random)
    old, new = random.choice(
        (
            (f"port = {random.randint(1000, 9999)}", f"port = {random.randint(1000, 9999)}"),
            (random.choice(words.NAMES), random.choice(words.CITIES)),
            (f"version {random.randint(1, 9)}.{random.randint(0, 9)}", f"version {random.randint(1, 9)}.{random.randint(10, 19)}"),
            (f"colour: {random.choice(words.COLOURS[:6])}", f"colour: {random.choice(words.COLOURS[6:])}"),
            (f"on {random.choice(('Monday', 'Friday'))}", f"on {random.choice(('Tuesday', 'Sunday'))}"),
        )
    )  # fmt: skip
    before, after = words.prose(random, random.randint(1, 5)).strip("\n"), words.prose(random, 2)
    frames = (
        "Replace '{old}' with '{new}' in {path}", 'In {path}, change "{old}" to "{new}"', "Change {old} to {new} in {path}.",
        "In {path} replace {old} by {new}", 'Edit {path}: replace "{old}" with "{new}"',
    )  # fmt: skip
    frame = "Please swap '{old}' for '{new}' in {path}" if unseen else random.choice(frames)
    return Task(
        kind="file_change",
        prompt=frame.format(old=old, new=new, path=path),
        answer=path,
        match="contains",
        says=f"Changed {path}.",
        files=others(random, path) | {path: f"{before}\n{old}\n{after}"},
        expects={path: f"{before}\n{new}\n{after}"},
        allow=("files.edit",),
        oracle=(call("files__edit", path=path, old=old, new=new),),
        unseen=unseen,
    )


def trouble(random: Random, unseen: bool) -> Task:
    """A name that is nearly right, a file that is not there, a change that is not allowed."""
    draw = random.random()
    if draw < 0.4:
        return _misspelt(random, unseen)

    if draw < 0.7:
        return _missing(random, unseen)

    task = random.choice((change, change, code.make))(random, unseen)
    oracle = tuple(step.model_copy(update={"denied": True}) for step in task.oracle)
    denied = {
        "kind": "file_trouble",
        "match": "refusal",
        "answer": "",
        "says": "I could not do that: it was not allowed.",
    }
    return task.model_copy(update=denied | {"expects": {}, "allow": (), "oracle": oracle})


def _misspelt(random: Random, unseen: bool) -> Task:
    task = fact(random, unseen)
    while task.oracle[0].tool != "files__info":
        task = fact(random, unseen)

    path = str(task.oracle[0].arguments["path"])
    stem, dot, ending = path.rpartition(".")
    if not dot:
        return _misspelt(random, unseen)

    wrong = random.choice(
        (stem[:-1] + dot + ending, stem + "s" + dot + ending, stem + dot + ("txt" if ending != "txt" else "md"))
    )
    if wrong in task.files:
        return _misspelt(random, unseen)

    return task.model_copy(
        update={
            "kind": "file_trouble",
            "prompt": task.prompt.replace(path, wrong),
            "files": {path: task.files[path]},
            "oracle": (call("files__info", path=wrong), *task.oracle),
        }
    )


def _missing(random: Random, unseen: bool) -> Task:
    task = random.choice((fact, lookup))(random, unseen)
    while "path" not in task.oracle[0].arguments or task.oracle[0].tool == "files__list":
        task = fact(random, unseen)

    path = str(task.oracle[0].arguments["path"])
    gone = {"kind": "file_trouble", "match": "refusal", "answer": "", "says": f"I could not find {path}."}
    return task.model_copy(update=gone | {"files": {"zebra.bin.txt": "x\n"} if random.random() < 0.5 else {}})
