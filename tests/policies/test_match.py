import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from journeyman.policies.match import Matcher, all_of, any_of, every, host_of


def holds(value, root=None, **condition):
    return Matcher.model_validate(condition).holds(value, root)


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ({"eq": 1}, 1, True),
        ({"eq": 1}, 1.0, True),
        ({"eq": 1}, True, False),
        ({"eq": True}, True, True),
        ({"eq": "a"}, "A", False),
        ({"eq": "a"}, None, False),
        ({"in": [1, "b"]}, "b", True),
        ({"in": [1, "b"]}, True, False),
        ({"max": 5}, 5, True),
        ({"max": 5}, 5.1, False),
        ({"max": 5}, "5", None),
        ({"max": 5}, True, None),
        ({"max": 5}, float("nan"), None),
        ({"min": 2, "max": 5}, 1, False),
        ({"min": 2, "max": 5}, 3, True),
        ({"max": 5}, [1, 2], True),
        ({"max": 5}, [1, 9], None),
        ({"max": 5}, [8, 9], False),
        ({"max": 5}, [], False),
        ({"max": 5, "eq": "x"}, "y", False),
    ],
)
def test_values(condition, value, expected):
    assert holds(value, **condition) is expected


@pytest.mark.parametrize(
    ("folder", "path", "expected"),
    [
        ("src", "src", True),
        ("src", "src/a/b.py", True),
        ("src/", "./src//a", True),
        ("src", "srcs/a", False),
        ("src", "src/../secret", False),
        ("secret", "src/../secret/x", True),
        (".", "anything", True),
        (".", "../outside", False),
        ("src", "/src/a", None),
        ("/etc", "etc/passwd", None),
        ("/etc", "/etc/passwd", True),
        ("/etc", "/usr/../etc/passwd", True),
        ("/", "/x", True),
        ("src", "~/src", None),
        ("src", "src/\0", None),
        ("src", 3, None),
        (("a", "b"), "b/c", True),
        (("a", "b"), "c", False),
    ],
)
def test_paths_are_compared_by_their_parts(folder, path, expected):
    assert holds(path, under=folder) is expected


@pytest.mark.parametrize(
    ("folder", "path", "expected"),
    [
        ("{original}/secrets", "secrets/key", True),
        ("{original}/secrets", "a/../secrets/key", True),
        ("{original}/secrets", "notes", False),
        ("{original}/secrets", "{copy}/secrets/key", True),
        ("{original}/secrets", "{original}/secrets/key", True),
        ("{original}/secrets", "door/key", None),
        ("secrets", "secrets/key", True),
        ("secrets", "{original}/secrets/key", True),
        ("secrets", "far/key", None),
        ("~/secrets", "secrets/key", True),
        ("~", "notes", True),
        ("{original}/..", "notes", True),
        ("/", "notes", True),
        ("{original}/../other", "notes", False),
        ("{original}", "../outside", False),
    ],
)
def test_a_rule_s_folder_is_meant_in_a_copy_too(tmp_path, monkeypatch, folder, path, expected):
    original, copy = tmp_path / "original", tmp_path / "copies" / "0"
    for root in (original, copy):
        (root / "secrets").mkdir(parents=True)
        (root / "door").symlink_to("secrets")
        (root / "far").symlink_to(original / "secrets")

    monkeypatch.setenv("HOME", str(original))
    condition = Matcher.model_validate({"under": folder.format(original=original)})
    assert condition.holds(path.format(original=original, copy=copy), copy, stands_for=original) is expected


def test_a_link_out_of_or_into_a_folder_leaves_the_answer_open(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "door").symlink_to(tmp_path / "secret")
    assert holds("open/door/key", tmp_path, under="secret") is None
    assert holds("open/door/key", tmp_path, under="open") is None
    assert holds("open/door/../key", tmp_path, under=".") is True
    assert holds("open/plain", tmp_path, under="open") is True
    assert holds(str(tmp_path / "open/plain"), tmp_path, under="open") is True
    assert holds("secret/key", tmp_path, under="open") is False


def test_a_path_is_hidden_where_a_part_of_it_begins_with_a_dot(tmp_path):
    root = tmp_path / ".work"
    (root / ".git").mkdir(parents=True)
    (root / "door").symlink_to(".git")
    paths = (".git/x", "a/.env", "../.x", "a", ".", "../a", "a.b", "~/a", 3)
    assert [holds(path, hidden=True) for path in paths] == [True, True, True, False, False, False, False, None, None]
    assert [holds(path, root, hidden=True) for path in (".git/x", "a", "door/x", f"{root}/a", f"{root}/.git")] == [
        True,
        False,
        None,
        False,
        True,
    ]
    assert holds("a", hidden=False) is True


def test_a_link_is_followed_before_the_dots_behind_it(tmp_path):
    (tmp_path / "secrets" / "sub").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "link").symlink_to("../secrets/sub")
    assert holds("notes/link/../key", tmp_path, under="secrets") is None
    assert holds("notes/link/../key", tmp_path, under="notes") is None


@given(st.lists(st.sampled_from(["a", "b", "..", ".", ""]), max_size=8), st.sampled_from(["a", "a/b", "."]))
def test_under_agrees_with_walking_the_parts(parts, folder):
    here = ["."]
    for part in parts:
        if part == "..":
            here = here[:-1]
        elif part not in {"", "."}:
            here.append(part)

    expected = (
        here[: 1 + len(folder.replace(".", "").split("/"))] == [".", *folder.split("/")]
        if folder != "."
        else here[:1] == ["."]
    )
    if len([p for p in parts if p == ".."]) <= len([p for p in parts if p in {"a", "b"}]) and "." in here[:1]:
        path = "/".join(parts)
        if not path.startswith("/"):
            assert holds(path, under=folder) is expected


@pytest.mark.parametrize(
    ("pattern", "url", "expected"),
    [
        ("example.com", "https://example.com/x?y#z", True),
        ("example.com", "HTTPS://EXAMPLE.com:443/", True),
        ("Example.com", "example.com.", True),
        ("example.com", "https://www.example.com", False),
        ("*.example.com", "https://www.example.com", True),
        ("*.example.com", "https://example.com", False),
        ("example.com", "https://example.com.evil.org", False),
        ("example.com", "https://evil.org/example.com", False),
        ("example.com", "https://example.com@evil.org", None),
        ("example.com", "https://evil.org\\@example.com", None),
        ("example.com", "https://exa\tmple.com", None),
        ("example.com", "https://\u0435xample.com", None),
        ("example.com", "ftp://example.com", None),
        ("example.com", "https://example.com:port", None),
        ("example.com", "https://", None),
        ("example.com", 7, None),
    ],
)
def test_hosts_are_those_of_the_url_or_nobody_s(pattern, url, expected):
    assert holds(url, host=pattern) is expected


@given(st.text())
def test_any_text_has_a_plain_host_or_none(text):
    host = host_of(text)
    assert host is None or set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_three_valued_logic():
    values = [True, None, False]
    assert [[all_of([a, b]) for a in values] for b in values] == [[True, None, False], [None, None, False], [False] * 3]
    assert [[any_of([a, b]) for a in values] for b in values] == [[True] * 3, [True, None, None], [True, None, False]]
    assert [[every([a, b]) for a in values] for b in values] == [[True, None, None], [None] * 3, [None, None, False]]


@pytest.mark.parametrize(
    "condition",
    [{}, {"undr": "x"}, {"max": "5"}, {"eq": [1]}, {"max": None}, {"min": float("nan")}, {"in": None, "eq": 1}],
)
def test_a_matcher_that_says_nothing_known_is_refused(condition):
    with pytest.raises(ValidationError):
        Matcher.model_validate(condition)
