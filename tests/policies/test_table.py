"""Truth tables, run by the real engine."""

import pytest

from journeyman.errors import PolicyError
from journeyman.policies.table import policy_of, read_table, run, shipped_tables

TABLES = sorted(shipped_tables().glob("*.test.toml"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_what_ships_answers_as_its_tables_say(path):
    table = read_table(path)
    assert [each for each in run(table, policy_of(table, path.parent), path.name) if not each.ok] == []


def test_a_case_that_turns_out_otherwise_is_told_with_what_happened(tmp_path):
    path = tmp_path / "house.test.toml"
    path.write_text('[[case]]\ntool = "files.write"\neffect = "allow"\n[[case]]\ntool = "add"\neffect = "allow"\n')
    table = read_table(path)
    wrong, right = run(table, policy_of(table, tmp_path), "house")
    assert (wrong.ok, wrong.expected, wrong.got, wrong.reason) == (False, "allow", "ask", "no rule allows files.write")
    assert right.ok


def test_a_case_may_say_which_rules_must_match(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text('case = [{ tool = "add", effect = "allow", rules = ["preset:built-in readers"] }]')
    table = read_table(path)
    assert [(each.ok, each.reason) for each in run(table, policy_of(table, tmp_path), "t")] == [
        (False, "other rules matched")
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[case]]\ntool = "x.*"\neffect = "ask"', "names one tool"),
        ('[[case]]\ntool = "x.y"\nefect = "ask"', "unknown key 'efect'"),
        ("", "case"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path, text, told):
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=told):
        read_table(path)
