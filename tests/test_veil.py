import base64
import json
import random
from itertools import pairwise
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from journeyman import shapes
from journeyman.errors import ConfigError, SecretLost
from journeyman.veil import PLACEHOLDER, Veil, named

KEY = b"k" * 32
TOKEN = "q7Jz0pWm4Xv9Tn2Lr8Bs6Yd3"
DRAWN = random.Random(7)  # noqa: S311 - the same each time


def drawn(alphabet: str, length: int) -> str:
    return "".join(DRAWN.choices(alphabet, k=length))


HEX = "0123456789abcdef"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
WELL_KNOWN = {
    "sk-ant-api03-" + drawn(LETTERS, 80): "ANTHROPIC_KEY",
    "sk-proj-" + drawn(LETTERS, 60): "API_KEY",
    "ghp_" + drawn(LETTERS, 36): "GITHUB_TOKEN",
    "github_pat_" + drawn(LETTERS, 70): "GITHUB_TOKEN",
    "glpat-" + drawn(LETTERS, 20): "GITLAB_TOKEN",
    "AKIA" + drawn(UPPER, 16): "AWS_KEY_ID",
    "AIza" + drawn(LETTERS, 35): "GOOGLE_KEY",
    "xoxb-" + drawn("0123456789", 12) + "-" + drawn(LETTERS, 24): "SLACK_TOKEN",
    "sk_live_" + drawn(LETTERS, 24): "STRIPE_KEY",
    "hf_" + drawn(LETTERS, 34): "HUGGINGFACE_TOKEN",
    "npm_" + drawn(LETTERS, 36): "PACKAGE_TOKEN",
    "SG." + drawn(LETTERS, 22) + "." + drawn(LETTERS, 43): "SENDGRID_KEY",
    "dop_v1_" + drawn(HEX, 64): "CLOUD_TOKEN",
    "eyJ" + drawn(LETTERS, 30) + ".eyJ" + drawn(LETTERS, 80) + "." + drawn(LETTERS, 43): "JWT",
    "-----BEGIN RSA PRIVATE KEY-----\n" + drawn(LETTERS, 64) + "\n-----END RSA PRIVATE KEY-----": "PRIVATE_KEY",
}


@pytest.mark.parametrize("secret", WELL_KNOWN, ids=[secret[:20].strip() for secret in WELL_KNOWN])
@pytest.mark.parametrize("around", ["{}", "key: {}.", 'log "{}" end', "X={}\nY=1", "first line\\n{}\\n"])
def test_what_has_a_well_known_form_is_hidden_and_filled_in_again(secret, around):
    veil, text = Veil(), around.format(secret)

    hidden = veil.hide(text)

    match = PLACEHOLDER.search(hidden)
    assert match is not None
    assert match[0].startswith(f"SECRET_{WELL_KNOWN[secret]}_")
    assert hidden == around.format(match[0])
    assert veil.fill(hidden) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("DB_PASSWORD=correcthorse\nX=1", "correcthorse"),
        ("export STRIPE_SECRET='a-b-c-d-e-f'", "a-b-c-d-e-f"),
        ('{"user": "me", "password": "hunter22hunter"}', "hunter22hunter"),
        ('{\\"api_key\\": \\"abcdef123456\\"}', "abcdef123456"),
        ("Log in as joe, my password is correct8horse.", "correct8horse"),
        ("The API key is: 'abcd1234-ef'; use it", "abcd1234-ef"),
        ("postgresql://joe:s3cr3t!pw@db.example/runs", "s3cr3t!pw"),
        ("redis://:s3cr3tpw@127.0.0.1:6379", "s3cr3tpw"),
        ("curl -H 'Authorization: Bearer abc123def456ghi'", "abc123def456ghi"),
        (f"aws_secret_access_key = {TOKEN}{TOKEN[:16]}", f"{TOKEN}{TOKEN[:16]}"),
        (f"AccountKey={TOKEN}{TOKEN}==;EndpointSuffix", f"{TOKEN}{TOKEN}=="),
        (f"https://hooks.slack.com/services/T012/B345/{TOKEN}", f"T012/B345/{TOKEN}"),
    ],
)
def test_what_stands_where_secrets_stand_is_hidden(text, secret):
    veil = Veil()

    hidden = veil.hide(text)

    assert secret not in hidden
    assert PLACEHOLDER.sub(secret, hidden) == text
    assert veil.fill(hidden) == text


def test_of_a_private_key_whose_end_is_cut_off_nothing_is_left():
    veil, lines = Veil(), [drawn(LETTERS, 64) for _ in range(5)]
    text = "\n".join(["cat key", "-----BEGIN OPENSSH PRIVATE KEY-----", *lines, lines[0][:30]])

    hidden = veil.hide(text)

    assert PLACEHOLDER.sub("", hidden) == "cat key\n"
    assert veil.fill(hidden) == text


def pictures() -> str:
    return base64.b64encode(random.Random(1).randbytes(60_000)).decode()  # noqa: S311


@pytest.mark.parametrize(
    "text",
    [
        drawn(HEX, 32),
        drawn(HEX, 40),
        drawn(HEX, 64),
        f"sha256:{drawn(HEX, 64)}  notes.txt",
        str(UUID(int=DRAWN.getrandbits(128))),
        f"data:image/png;base64,{pictures()}",
        "task-oriented-risk-management-for-2026 sk-learn-contrib-project-template",
        "postgresql://user:password@host/name and http://127.0.0.1:8080/v1",
        "API_TOKEN = os.environ['API_TOKEN']; SECRET_KEY = make_key(); MAX_TOKENS=100000; PASSWORD=None",
        "def login(password: str = '', token='string') -> None: ...",
        'a file begins with "-----BEGIN PRIVATE KEY-----" and ends with "-----END PRIVATE KEY-----"',
        "glyph-orientation-vertical make-glyph-time-signature-markup2",
        "git@github.com:joe/boats.git https://example.com:8443/@joe",
        "-----BEGIN PUBLIC KEY-----\n" + drawn(LETTERS, 64),
        "the token, the secret and the password are kept; authorization: none",
        "the password is required, a password is mandatory-for-everyone, and the password is falcon-42.",
    ],
)
def test_what_merely_looks_like_a_secret_is_left_as_it_is(text):
    assert Veil().hide(text) is text


def test_beside_a_placeholder_a_short_secret_is_hidden_too():
    veil = Veil()

    hidden = veil.hide(veil.hide(f"ghp_{TOKEN}") + " redis://:pw123@db")

    assert "pw123" not in hidden


def test_the_same_secret_has_the_same_placeholder_which_nobody_can_guess():
    one, other, elsewhere = Veil(key=lambda: KEY), Veil(key=lambda: KEY), Veil()
    text = f"GITHUB_TOKEN=ghp_{TOKEN}"

    assert one.hide(text) == one.hide(text) == other.hide(text) != elsewhere.hide(text)
    assert other.fill(one.hide(text)) == text


def test_what_was_found_by_its_place_is_then_found_anywhere():
    veil = Veil()

    placeholder = veil.hide(f"postgresql://joe:{TOKEN}@db/runs")[len("postgresql://joe:") : -len("@db/runs")]

    assert veil.hide(f"the password is {TOKEN}!") == f"the password is {placeholder}!"


@pytest.mark.parametrize("spell", [json.dumps, quote, lambda text: quote(text, safe="")])
def test_a_named_secret_is_found_however_it_is_spelled(spell):
    secret = 'pa"ss\\wörd/4 &7+8'
    veil = Veil([("DB", secret)])
    text = f"before {spell(secret)} after"

    hidden = veil.hide(text)

    assert secret not in hidden
    assert spell(secret).strip('"') not in hidden
    assert veil.fill(hidden) == text


@pytest.mark.parametrize("user", ["", "a", "ab", "joe"])
def test_a_named_secret_is_found_inside_of_base64(user):
    veil = Veil([("DB", TOKEN)])
    header = base64.b64encode(f"{user}:{TOKEN}".encode()).decode()

    hidden = veil.hide(f"Basic {header}")

    shown = PLACEHOLDER.sub("", hidden).removeprefix("Basic ")
    assert len(shown) <= len(user) + 6
    assert veil.fill(hidden) == f"Basic {header}"


@pytest.mark.parametrize("cut", [slice(16, None), slice(20, None), slice(None, 20), slice(None, -1)])
def test_of_a_named_secret_that_was_cut_off_the_rest_is_hidden_too(cut):
    veil = Veil([("DB", TOKEN)])
    piece = TOKEN[cut] if len(TOKEN[cut]) >= 16 else TOKEN[8:]

    hidden = veil.hide(f"... {piece} ...")

    assert piece not in hidden
    assert veil.fill(hidden) == f"... {piece} ..."


@given(
    st.lists(
        st.sampled_from([*WELL_KNOWN, TOKEN, "DB_PASSWORD=", "password: '", "://u:", "@h", "\ud800", "\n"])
        | st.text(max_size=8)
    ).map("".join)
)
@example(f"SECRET_X_aaaaaaaa ghp_{TOKEN}")
@example(f"DB_PASSWORD={TOKEN}\ud800")
@example(f"MY_SECRET_{TOKEN}")
def test_filling_in_gives_back_what_was_hidden(text):
    veil = Veil([("T", TOKEN)])

    hidden = veil.hide(text)

    assert TOKEN not in hidden
    assert not any(secret in hidden for secret in WELL_KNOWN if secret.startswith("-----BEGIN RSA"))
    if not PLACEHOLDER.search(text):
        assert veil.fill(hidden) == text
        assert veil.fill(veil.hide(hidden)) == text


@given(st.recursive(st.text() | st.sampled_from([TOKEN, *WELL_KNOWN]) | st.integers() | st.none(), st.lists))
def test_in_json_what_is_in_its_strings_comes_back_the_same(value):
    veil, text = Veil([("T", TOKEN)]), json.dumps(value)

    hidden = veil.hide_json(text)

    assert TOKEN not in hidden
    assert json.loads(veil.fill_json(hidden)) == value


def test_a_placeholder_of_another_process_cannot_be_filled_in():
    hidden = Veil().hide(f"ghp_{TOKEN}")

    with pytest.raises(SecretLost, match="GITHUB_TOKEN") as caught:
        Veil().fill(hidden)

    assert "JOURNEYMAN_SECRETS" in caught.value.fix


def test_a_process_that_is_told_the_secret_knows_the_placeholder_of_an_earlier_one():
    hidden = Veil(key=lambda: KEY).hide(f"ghp_{TOKEN}")

    assert Veil([("GH", f"ghp_{TOKEN}")], key=lambda: KEY).fill(hidden) == f"ghp_{TOKEN}"


def test_a_placeholder_that_is_not_known_is_not_hidden_again():
    hidden = Veil().hide(f"API_KEY=ghp_{TOKEN}")

    assert Veil().hide(hidden) == hidden


def test_a_named_secret_has_its_own_name_wherever_it_stands():
    veil = Veil([("x token", f"ghp_{TOKEN}")])

    hidden = veil.hide(f"ghp_{TOKEN}, GH_TOKEN=ghp_{TOKEN}")

    assert [match[0][:-9] for match in PLACEHOLDER.finditer(hidden)] == ["SECRET_X_TOKEN"] * 2
    assert len(set(PLACEHOLDER.findall(hidden))) == 1


def test_what_one_run_has_found_another_does_not_know():
    first = Veil()
    one, other = first.fresh(), first.fresh()
    one.hide(f"DB_PASSWORD={TOKEN}")

    assert TOKEN not in one.hide(TOKEN)
    assert other.hide(TOKEN) is TOKEN


def test_secrets_are_named_by_variables_files_and_values(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# mine\nexport A={TOKEN}1\n{TOKEN}2\nX='{TOKEN}3'\nno\n")
    there = tmp_path / f"creds{TOKEN}"
    there.touch()
    environment = {"FOO": "foofoofoo", "MY_TOKEN": TOKEN, "API_KEY": "short", "HOME_TOKEN": "wordswords"}

    found = named(
        ["env:FOO", "env:GONE", f"file:{file}", "value:hunter2"],
        {**environment, "G_CREDENTIALS": str(there)},
        [("MY_TOKEN", f"{TOKEN}4"), ("WORD", f"{TOKEN}5")],
    )

    assert found == [
        ("MY_TOKEN", TOKEN),
        ("MY_TOKEN", f"{TOKEN}4"),
        ("FOO", "foofoofoo"),
        ("keys", f"{TOKEN}1"),
        ("keys", f"{TOKEN}2"),
        ("keys", f"{TOKEN}3"),
        ("VALUE", "hunter2"),
    ]


@pytest.mark.parametrize("entry", ["value:abc", "hunter2hunter2", "file:/nowhere/at/all"])
def test_an_entry_that_names_no_secret_is_an_error_that_does_not_repeat_it(entry):
    with pytest.raises(ConfigError) as caught:
        named([entry], {})

    assert caught.value.fix
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "hostile",
    ["-----BEGIN PRIVATE KEY-----\n", "://a:b", "eyJ", "eyJaaaaaaaaaaaa.", 'TOKEN="', "sk-", "authorization: bearer "],
)
def test_no_text_makes_the_search_slow(hostile):
    text = hostile * (60_000 // len(hostile))
    seen = shapes.find(text)

    assert all(a.end <= b.start for a, b in pairwise(seen))
