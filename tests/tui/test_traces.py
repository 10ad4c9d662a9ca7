import os

import pytest
from textual.widgets import Input

from journeyman.home import data_dir
from journeyman.traces.store import Store
from journeyman.tui.compare import compared
from journeyman.tui.line import plain
from journeyman.tui.traces import Traces
from tests.traces.practised import attempt
from tests.traces.runs import answer, record, scored, started, step
from tests.tui.course import FOUND
from tests.tui.screen import alone, shown, until


@pytest.fixture
async def store(tmp_path, monkeypatch):
    """Runs of three kinds, in the store of the settings."""
    monkeypatch.setenv("JOURNEYMAN_STORE", str(tmp_path / "runs.db"))
    kept = Store.open(tmp_path / "runs.db")
    await record(kept, started("How many boats?"), *step(1), *answer(), run_id="boats-1")
    await record(kept, started("How many boats?"), *step(1), *answer(text="Four."), run_id="boats-2")
    await record(kept, started("How many trains?"), *answer(1), scored(1.0), run_id="trains-1")
    for index, reward in enumerate((1.0, 0.0, 1.0)):
        run = attempt(index, reward, *answer(1))
        await record(kept, *(each.event for each in run), run_id=f"tried-{index}")

    kept.close()
    return tmp_path


async def browsing(app, pilot, wanted="", rows=6):
    app.push_screen(Traces(wanted))
    await until(pilot, lambda: isinstance(app.screen, Traces) and app.screen.runs.count == rows)
    return app.screen


async def test_runs_are_listed_and_narrowed_by_a_filter(store):
    async with alone((120, 36)) as (app, pilot):
        screen = await browsing(app, pilot)
        assert "How many trains?" in shown(app)
        await pilot.press("slash", *"prompt:*boats*", "enter")
        await until(pilot, lambda: screen.runs.count == 2)
        assert "trains" not in shown(app)
        await pilot.press("slash", *" x:", "enter")
        await until(pilot, lambda: "Recorded runs  2" not in shown(app))
        assert screen.runs.count == 2


async def test_a_run_is_read_as_its_transcript(store):
    async with alone((80, 24)) as (app, pilot):
        await browsing(app, pilot, "trains", rows=1)
        await pilot.press("enter")
        await until(pilot, lambda: "trains-1" in shown(app))
        assert "❯ How many trains?" in shown(app)
        assert "Three boats." in shown(app)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.chat)


async def test_attempts_at_a_task_are_dots_and_open_as_runs(store):
    async with alone((100, 30)) as (app, pilot):
        screen = await browsing(app, pilot, "batch:b", rows=3)
        await pilot.press("g")
        await until(pilot, lambda: screen.runs.count == 1)
        assert "●○●" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: screen.runs.count == 3)


async def test_two_marked_runs_stand_side_by_side_from_where_they_part(store):
    async with alone((120, 36)) as (app, pilot):
        await browsing(app, pilot, "prompt:*boats*", rows=2)
        await pilot.press("d")
        await pilot.pause()
        assert "Mark two runs" in shown(app)
        await pilot.press("space", "space", "d")
        await until(pilot, lambda: "they part in step 2" in shown(app))
        assert "Four." in shown(app)
        assert "│" in shown(app)


async def test_a_run_is_called_good_or_bad(store):
    async with alone((100, 30)) as (app, pilot):
        await browsing(app, pilot, "prompt:*boats*", rows=2)
        await pilot.press("plus")
        await until(pilot, lambda: "is good" in shown(app))
        assert "1.00" in shown(app)


async def test_what_fits_is_exported(store):
    async with alone((100, 30)) as (app, pilot):
        await browsing(app, pilot, "prompt:*boats*", rows=2)
        out = store / "out.jsonl"
        await pilot.press("e")
        await pilot.pause()
        app.screen.query_one(Input).value = f"{out} messages"
        await pilot.press("enter")
        await until(pilot, out.exists)
        assert len(out.read_text("utf-8").splitlines()) == 2


async def test_a_difference_fits_narrow_screens_too(store):
    with_store = Store.open(store / "runs.db")
    left, right = (list(with_store.events(run)) for run in ("boats-1", "boats-2"))
    with_store.close()
    lines = [plain(line) for line in compared(left, right, 38)]
    assert max(map(len, lines)) <= 40
    assert [line for line in lines if line.startswith(("- assistant", "+ assistant"))] == [
        "- assistant: Three boats.",
        "+ assistant: Four.",
    ]


async def test_courses_of_practice_are_turned_over_and_one_that_cannot_be_read_says_so(store, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(store / "home"))
    async with alone((100, 36)) as (app, pilot):
        app.do("training", "")
        await until(pilot, lambda: "No course yet." in shown(app))
        for name, text in (("old", "{}"), ("new", FOUND.model_dump_json())):
            folder = data_dir() / "training" / name
            folder.mkdir(parents=True)
            (folder / "course.json").write_text(text, "utf-8")
            os.utime(folder / "course.json", (1, 1 + (name == "new")))

        await pilot.press("r")
        await until(pilot, lambda: "course 1 of 2" in shown(app))
        assert "2 gained, 1 lost" in shown(app)
        await pilot.press("right")
        await until(pilot, lambda: "journeyman improve" in shown(app))
        assert "can be read" in shown(app).replace("\n ", "")
