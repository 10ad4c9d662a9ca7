"""Practice, training, a test on held-out tasks: in rounds, and in the end a verdict.

    found = Improvement(course, store, folder, say).run()

Every attempt, of practice and of tests, is a run in the store; what was done is in the folder after each part, and the
same call goes on from there. Held-out tasks are never trained on: their runs carry their split, and no export takes
them. One half of them chooses the stage, the other is for the verdict alone: what was chosen because it did well on
some tasks does well on those, whatever it has learnt.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio

from journeyman.errors import ConfigError, UsageError
from journeyman.home import replace_text
from journeyman.traces.store import Store
from journeyman.training.base import demand_trainer, tokenizer
from journeyman.training.cold import cold_rows
from journeyman.training.controls import ARMS, by_format, worthless
from journeyman.training.course import Course, Found, Stage, StageName, Test
from journeyman.training.gate import paired, verdict
from journeyman.training.ground import Ground
from journeyman.training.rollout import runs_of
from journeyman.training.rows import Reader, Row, few_of_each, general, read_rows
from journeyman.training.taskfile import A_FEW, draw_more, load_tasks
from journeyman.training.tasks import Task
from journeyman.training.thought import ON_TOP, thoughtful, with_form
from journeyman.training.train import Job, Trained, train
from journeyman.training.votes import voted

HELD_SEED = 9001
"""Held-out tasks come from a seed of their own."""
OLDER = 3
"""Of each of the starter's own kinds, where those are the regression suite."""
FEWEST = 6
"""Tasks that must change, all to the better, to be surely better."""
REWARDED = {"guide", "sft", "grpo"}
"""Stages that rest on what the model's own attempts were worth."""


class Improvement:
    """One course.

    Args:
        course: what is to be done.
        store: where runs go.
        folder: where everything else goes; one that has the same course is gone on with.
        say: hears what goes on, a line at a time.

    Raises:
        UsageError: the folder has another course, or no task is held out.
        ConfigError: the folder cannot be used, or what trains is not installed.
    """

    def __init__(self, course: Course, store: Store, folder: Path, say: Callable[[str], None]) -> None:
        demand_trainer()
        self._course, self._folder, self._say = course, folder, say
        held = _held(course)
        self._choosing, self._proving = halves(held)
        if not (self._choosing and self._proving):
            message = f"Too few of the tasks of {course.tasks} are held out ({len(held)}), so nothing could be shown."
            raise UsageError(message, fix="Give more tasks: one in four is held out, by its prompt.")

        self._found = self._taken_up()
        self._reader = Reader(course.base, tokenizer(course.base))
        self._ground = Ground(course, store, say)

    @property
    def prompts(self) -> dict[str, str]:
        """Of the held-out tasks, by key."""
        return {task.key: task.prompt for task in (*self._choosing, *self._proving)}

    def run(self) -> Found:
        """Go through the course.

        Raises:
            ModelError, StoreError, ConfigError: it cannot go on; what was done is kept.
            Interrupted: Ctrl-C while training.
        """
        if len(self._proving) < FEWEST:
            few = len(self._proving)
            self._say(f"only {few} held-out tasks are for the verdict; no gain is sure with fewer than {FEWEST}")

        if self._found.before is None:
            self._keep(before=self._ground.test("before", self._course.start, self._choosing))

        for number, name in enumerate(self._course.stages, 1):
            if number > len(self._found.stages):
                self._keep(stages=(*self._found.stages, self._stage(number, name)))

        if self._found.best is not None:
            self._show()

        return self._found

    def _stage(self, number: int, name: StageName) -> Stage:
        """Practise, train, test."""
        start, began = self._found.adapter, time.monotonic()
        rows = self._learnt(number, name, start)
        practice = self._ground.tally(number)
        stage = Stage(number=number, name=name, practice=practice if practice.attempts else None, rows=len(rows))
        self._say(f"stage {number} ({name}): {len(rows)} rows; {practice.right} of {practice.attempts} attempts right")
        practised = time.monotonic()
        try:
            done = self._train(f"{number}-{name}", name, rows, start)
        except UsageError as why:
            self._say(f"stage {number} ({name}): {why}")
            return stage.model_copy(update={"why": str(why)})

        trained = time.monotonic()
        test = self._ground.test(f"stage{number}", done.adapter, self._choosing)
        earlier = self._earlier(number)
        best = earlier.test if earlier else self._found.before
        pair = paired(best.right if best else {}, test.right)
        kept = pair.after >= pair.before
        self._say(f"stage {number} ({name}): held-out {test.rate:.0%}, {'kept' if kept else 'not kept'}")
        seconds = {"practice": practised - began, "train": trained - practised, "test": time.monotonic() - trained}
        rounded = {part: round(value, 1) for part, value in seconds.items()}
        thought = tuple(self._thoughtful(f"stage{number}").values())
        told = {"trained": done, "test": test, "thought": thought, "kept": kept, "seconds": rounded}
        return stage.model_copy(update=told)

    def _train(self, folder: str, name: StageName, rows: Sequence[Row], start: Path | None) -> Trained:
        plan = self._course.plan(name, further=start is not None)
        form = {"on_top_for_thoughts": ON_TOP} if name == "grpo" and self._course.aloud else {}
        notes = {"course": self._course.name, **form}
        return train(Job(self._course.base, self._folder / folder, plan, start, notes), rows)

    def _learnt(self, number: int, name: StageName, start: Path | None) -> list[Row]:
        """What the stage trains on."""
        course = self._course
        if name == "cold":
            return self._oracles(course.cold)

        def draw(n: int | None) -> list[Task]:
            if n is None:
                return load_tasks(course.tasks, n=course.limit, seed=course.seed + number, split="train")

            return draw_more(course.tasks, n, seed=course.seed + number, split="train")

        self._ground.practise(number, name, draw, start)
        if name == "grpo":
            return self._rows(number, practised=True)

        new = few_of_each([row for row in self._rows(number) if row.reward == 1], course.each)
        return [*new, *self._replayed(number, int(len(new) * course.share))]

    def _replayed(self, number: int, most: int) -> list[Row]:
        """Against forgetting: some of what earlier stages learnt, and of the user's samples."""
        course = self._course
        older = [row for before in range(1, number) for row in self._rows(before) if row.reward == 1]
        if "cold" in course.stages[: number - 1] and most:
            older += self._oracles(most)

        Random(course.seed).shuffle(older)
        samples = general(course.replay, self._reader, most, course.seed) if course.replay and most else []
        return [*older[:most], *samples]

    def _oracles(self, count: int) -> list[Row]:
        course = self._course
        mixed = count if course.tasks == "starter" else 0
        tasks = [] if mixed else load_tasks(course.tasks, n=count, seed=course.seed, split="train")
        if len(tasks) > count:  # so many of each kind
            tasks = Random(course.seed).sample(tasks, count)

        return anyio.run(partial(cold_rows, tasks, self._reader, mixed=mixed, seed=course.seed, aloud=course.aloud))

    def _rows(self, number: int, *, practised: bool = False) -> list[Row]:
        store, batch = self._ground.store, self._ground.batch(number)
        rows = read_rows(store, runs_of(store, batch), self._reader, practised=practised)[0]
        return with_form(rows, self._thoughtful(number)) if practised else rows

    def _thoughtful(self, label: str | int) -> dict[str, bool]:
        """Of a batch's runs, where thoughts are asked for."""
        return thoughtful(self._ground.store, self._ground.batch(label)) if self._course.aloud else {}

    def _show(self) -> None:
        """What the verdict rests on, each part once; then the verdict."""
        course = self._course
        self._prove(None)
        self._prove(self._found.best)
        if course.controls and not self._found.controls and (of := self._rewarded()):
            controls = {arm: self._control(arm, of) for arm in ARMS}
            self._keep(control_of=of.number, controls=controls)

        if course.regression and self._found.regression is None:
            count = OLDER if course.regression == "starter" else course.held
            older = load_tasks(course.regression, n=count, seed=HELD_SEED, split="held_out")
            before = self._ground.test("older-before", course.start, older)
            self._keep(regression=(before, self._ground.test("older-after", self._found.adapter, older)))

        if course.passes and not self._found.passes:
            self._several()

        self._judge()

    def _judge(self) -> None:
        earlier = self._earlier(self._found.control_of)
        self._prove(earlier)
        found = self._found
        if found.best is None:
            return

        held_out = paired(found.proofs[0].right, found.proofs[found.best.number].right)
        older = paired(found.regression[0].right, found.regression[1].right) if found.regression else None
        against = found.proofs[earlier.number if earlier else 0].right
        controls = {arm: paired(against, test.right) if test else None for arm, test in found.controls.items()}
        self._keep(held_out=held_out, verdict=verdict(held_out, older, controls))

    def _rewarded(self) -> Stage | None:
        """The last stage whose rewards could be replaced."""
        stages = reversed(self._found.stages)
        return next((each for each in stages if each.trained and each.name in REWARDED), None)

    def _earlier(self, number: int) -> Stage | None:
        """The stage that one of this number went on from."""
        return next((each for each in reversed(self._found.stages) if each.number < number and each.kept), None)

    def _prove(self, stage: Stage | None) -> None:
        """Test a stage, or what there was before all, on the tasks that chose nothing; once."""
        number = stage.number if stage else 0
        adapter = stage.trained.adapter if stage and stage.trained else self._course.start
        if number not in self._found.proofs:
            test = self._ground.test(f"proof{number}", adapter, self._proving)
            self._keep(proofs={**self._found.proofs, number: test})

    def _control(self, arm: str, of: Stage) -> Test | None:
        """The same training, with rewards that mean nothing; None: it could not be done."""
        earlier = self._earlier(of.number)
        start = earlier.trained.adapter if earlier and earlier.trained else self._course.start
        ranked = of.name == "grpo"
        rows = self._rows(of.number, practised=ranked)
        thought = self._thoughtful(of.number) if ranked else {}
        formed = by_format(self._ground.store, self._ground.batch(of.number), thought)
        chosen = worthless(arm, rows, formed, of.rows, seed=self._course.seed, ranked=ranked)
        try:
            done = self._train(f"{of.number}-control-{arm}", of.name, chosen, start)
        except UsageError as why:
            self._say(f"control {arm}: {why}")
            return None

        return self._ground.test(f"control-{arm}", done.adapter, self._proving)

    def _several(self) -> None:
        """The tasks of the verdict several times, before and after: pass@k, a vote, and the same without tools."""
        passes, gains, found, k = {}, {}, self._found, self._course.passes
        without = [task.model_copy(update={"tools": (), "extra": ()}) for task in self._proving]
        after = found.best.number if found.best else 0
        for label, adapter, number in (("before", self._course.start, 0), ("after", found.adapter, after)):
            passes[label] = self._ground.several(f"passes-{label}", adapter, self._proving)
            self._ground.several(f"passes-no-tools-{label}", adapter, without)
            gains[label] = {
                "greedy": found.proofs[number].rate,
                f"vote of {k}": voted(self._ground.store, self._ground.batch(f"passes-{label}")),
                "greedy, no tools": self._ground.test(f"no-tools-{label}", adapter, without).rate,
                f"vote of {k}, no tools": voted(self._ground.store, self._ground.batch(f"passes-no-tools-{label}")),
            }

        self._keep(passes=passes, gains=gains)

    def _taken_up(self) -> Found:
        path = self._folder / "course.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            found = Found.model_validate_json(path.read_bytes()) if path.exists() else Found(course=self._course)
        except (OSError, ValueError) as error:
            message = f"{self._folder} cannot be used: {error}."
            raise ConfigError(message, fix="Give another name: --name NAME") from error

        if found.course != self._course:
            raise UsageError(f"{self._folder} has another course.", fix="Give another name: --name NAME")

        return found

    def _keep(self, **changes: Any) -> None:
        """Note what is known now."""
        self._found = self._found.model_copy(update=changes)
        path = self._folder / "course.json"
        try:
            replace_text(path, self._found.model_dump_json(indent=2))
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error}.", fix=f"Make room in {self._folder}.") from error


def halves(tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """Those that choose and those that prove, by their hash: a task is always on the same side."""
    proving = {task.key for task in tasks if int(task.key, 16) % 2}
    return [task for task in tasks if task.key not in proving], [task for task in tasks if task.key in proving]


def _held(course: Course) -> list[Task]:
    """By default all of a file; of a generator twice as many as are practised, since there are two halves."""
    if course.held:
        return load_tasks(course.tasks, n=course.held, seed=HELD_SEED, split="held_out")

    return draw_more(course.tasks, 2 * A_FEW, seed=HELD_SEED, split="held_out")
