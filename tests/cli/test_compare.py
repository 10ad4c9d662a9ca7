import json


def test_a_drawing_that_cannot_be_written_is_told_before_anything_is_tried(journeyman):
    words = ("compare", "plain", "--tasks", "starter:arithmetic", "--limit", "1", "-m", "scripted:none.json")
    done = journeyman(*words, "--plot", "/nope/x.svg")
    told = "Error: --plot /nope/x.svg cannot be written.\n  Name a file in a folder that is there.\n"
    assert (done.code, done.out, done.err) == (2, "", told)
    assert not journeyman.home.exists()


def test_a_strategy_that_is_named_twice_is_tried_once_and_told(journeyman):
    (journeyman.folder / "script.json").write_text(json.dumps(["5", "5"]), "utf-8")
    (journeyman.folder / "tasks.jsonl").write_text('{"prompt": "2 + 3?", "answer": "5", "kind": "sum"}\n', "utf-8")
    words = ("compare", "plain", "plain", "--tasks", "tasks.jsonl", "--split", "all", "-m", "scripted:script.json")
    done = journeyman(*words, "--json", "--plot", "out.svg")
    assert (done.code, done.err) == (0, "note: plain is named 2 times and tried once\n")
    assert [arm["tasks"] for arm in done.json["arms"]] == [1]
    assert (journeyman.folder / "out.svg").is_file()
