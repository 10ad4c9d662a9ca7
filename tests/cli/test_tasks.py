import json


def test_a_new_task_file_is_written_once_and_proved(journeyman):
    assert journeyman("tasks", "new", "tasks.toml").code == 0
    again = journeyman("tasks", "new", "tasks.toml")
    assert (again.code, "there already" in again.err) == (2, True)
    checked = journeyman("tasks", "check", "tasks.toml", "--json")
    assert (checked.code, json.loads(checked.out)) == (0, {"tasks": 2, "faults": []})


def test_a_faulty_task_is_told_and_ends_with_1(journeyman):
    (journeyman.folder / "t.jsonl").write_text('{"name": "wrong", "prompt": "2+2?", "answer": "5", "says": "4"}')
    checked = journeyman("tasks", "check", "t.jsonl")
    assert (checked.code, checked.out) == (
        1,
        "wrong: oracle must score 1, got 0 (exact 0)\n0 of 1 tasks are sound\n",
    )


def test_tasks_are_listed_and_shown(journeyman):
    listed = json.loads(journeyman("tasks", "list", "starter:arithmetic", "-n", "3", "--json").out)
    assert {(task["kind"], task["split"]) for task in listed} == {("arithmetic", "train")}
    key = listed[0]["key"]
    shown = json.loads(journeyman("tasks", "show", "starter:arithmetic", key[:9], "-n", "3", "--json").out)
    assert (shown["key"], shown["oracle"][0]["tool"]) == (key, "calculator__calculate")
    missing = journeyman("tasks", "show", "starter:arithmetic", "zzz")
    assert (missing.code, "no task 'zzz'" in missing.err) == (2, True)


def test_tasks_are_written_as_prompts_without_those_that_are_held_out(journeyman):
    asked = [{"prompt": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(12)]
    (journeyman.folder / "t.jsonl").write_text("\n".join(json.dumps(each) for each in asked))
    listed = json.loads(journeyman("tasks", "list", "t.jsonl", "--json").out)
    train = [task["key"] for task in listed if task["split"] == "train"]

    done = json.loads(journeyman("tasks", "export", "t.jsonl", "out.jsonl", "--json").out)

    assert 0 < len(train) < 12
    assert (done["rows"], len(done["skipped"])) == (len(train), 12 - len(train))
    rows = [json.loads(line) for line in (journeyman.folder / "out.jsonl").read_text().splitlines()]
    assert [row["task"] for row in rows] == train


def test_tasks_that_are_held_out_are_told_and_one_group_has_no_interval(journeyman):
    (journeyman.folder / "script.json").write_text(json.dumps(["4"]))
    (journeyman.folder / "t.toml").write_text(
        '[[task]]\nprompt = "3 + 1?"\nanswer = "4"\n[[task]]\nprompt = "2 + 3?"\nanswer = "5"\nnever = true\n'
    )
    done = journeyman("rollout", "t.toml", "-n", "1", "-m", "scripted:script.json")
    told = "note: 1 of 2 tasks is held out and not practised (--split all)\n"
    assert (done.code, done.err, done.out.splitlines()[3]) == (0, told, "pass@1     100%")
