"""What keys, tokens and passwords look like, for those that nobody has named.

`KEYS` are well-known forms: prefixes that their issuers document so that scanners find them. In `PLACES` a value is a
secret whatever it looks like (`NAME_TOKEN=...`, `"password": "..."`, `://user:...@host`). Hashes, UUIDs and base64 of
images have no such prefix and stand in no such place.

Looking is done twice. `PROBE`, an automaton in Rust (it is pydantic's), takes 2 us a KB and tells whether there may
be anything; only then does each form, and after it Python's engine, say where.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from pydantic_core import SchemaValidator, core_schema

KEYS = """
ANTHROPIC_KEY      sk-ant-              W{20,500}
API_KEY            sk-                  W{20,500}
API_KEY            gsk_                 W{24,500}
API_KEY            xai-                 W{24,500}
API_KEY            nvapi-               W{24,500}
API_KEY            (?:pplx|tvly)-       W{24,500}
API_KEY            lsv2_[a-z]{2}_       W{24,500}
GITHUB_TOKEN       gh[pousr]_           [A-Za-z0-9]{20,500}
GITHUB_TOKEN       github_pat_          W{22,500}
GITLAB_TOKEN       gl(?:dt|rt|ft)-      W{20,500}
GITLAB_TOKEN       gl(?:pa|pt|cb|im)t-  W{20,500}
AWS_KEY_ID         A(?:KIA|SIA|BIA|CCA) [A-Z0-9]{16}
GOOGLE_KEY         AIza                 W{35}
GOOGLE_KEY         ya29\\.               W{20,2000}
GOOGLE_KEY         GOCSPX-              W{20,500}
SLACK_TOKEN        xox[abeoprs]-        [A-Za-z0-9-]{10,500}
SLACK_TOKEN        xapp-                [A-Za-z0-9-]{20,500}
STRIPE_KEY         [rs]k_live_          [A-Za-z0-9]{10,500}
STRIPE_KEY         [rs]k_test_          [A-Za-z0-9]{10,500}
STRIPE_KEY         whsec_               [A-Za-z0-9+/=]{24,500}
HUGGINGFACE_TOKEN  hf_                  [A-Za-z0-9]{30,500}
PACKAGE_TOKEN      npm_                 [A-Za-z0-9]{36}
PACKAGE_TOKEN      pypi-                W{50,1000}
PACKAGE_TOKEN      dckr_pat_            W{20,500}
SENDGRID_KEY       SG\\.                 W{16,100}\\.W{16,100}
CLOUD_TOKEN        do[opr]_v1_          [a-f0-9]{64}
CLOUD_TOKEN        dapi                 [a-f0-9]{32}
CLOUD_TOKEN        hv[bs]\\.             W{24,500}
SERVICE_TOKEN      shp[a-z]{2}_         [a-fA-F0-9]{32}
SERVICE_TOKEN      lin_api_             W{32,500}
SERVICE_TOKEN      ntn_                 W{40,500}
SERVICE_TOKEN      PMAK-                W{50,500}
SERVICE_TOKEN      ATATT3               W{60,500}
SERVICE_TOKEN      key-                 [0-9a-f]{32}
AGE_KEY            AGE-SECRET-KEY-1     [A-Z0-9]{50,500}
JWT                eyJ                  W{10,5000}\\.eyJW{10,10000}\\.W{10,5000}
"""
"""Name, prefix (it begins a word), rest; W is a character of base64url."""

_BLOCK = r"[A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
_NAMES = r"(?:SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|API_?KEY|ACCESS_?KEY|PRIVATE_KEY|SECRET_KEY)"
_LINES = r"[A-Za-z0-9+/=\x00-\x20\\]{40,20000}"
_QUOTE = r"\\?[\x22']"
_IS = r"[ \t]{0,9}[:=][ \t]{0,9}"
_BARE = r"[^\x00-\x20\x22'`$<>(){}\\,;]"
"""Of a value that nobody has put in quotes: up to whatever would end it in a shell, in JSON or in code."""
PLACES = {
    "PRIVATE_KEY": rf"(?P<v>-----BEGIN {_BLOCK}(?:(?:[^-]|-[^-]){{40,20000}}-----END {_BLOCK}|{_LINES}))",
    "URL_PASSWORD": r"://[^\x00-\x20\x22'/:@<>]{0,100}:(?P<v>[^\x00-\x20\x22'/@<>{}]{3,200})@[A-Za-z0-9\[]",
    "SLACK_HOOK": r"hooks\.slack\.com/services/(?P<v>[A-Za-z0-9_/]{20,200})",
    "BOT_TOKEN": r"[0-9]{8}(?P<v>:AA[A-Za-z0-9_-]{32,40})",
    "AZURE_KEY": r"AccountKey=(?P<v>[A-Za-z0-9+/]{40,100}={0,2})",
    "CLOUD_KEY": rf"(?i:secret_?access_?key)(?:{_QUOTE})?{_IS}(?:{_QUOTE})?(?P<v>[A-Za-z0-9/+]{{40}})",
    "BEARER": (
        rf"(?i:authorization)(?:{_QUOTE})?{_IS}(?:{_QUOTE})?(?i:bearer|basic|token) (?P<v>[A-Za-z0-9._~+/=-]{{8,5000}})"
    ),
    "VARIABLE": rf"{_NAMES}=(?:{_QUOTE})?(?P<v>{_BARE}{{6,500}})",
    "QUOTED": rf"(?i:{_NAMES})(?:{_QUOTE})?{_IS}{_QUOTE}(?P<v>{_BARE}{{6,500}})",
    "SAID": rf"(?i:password|passphrase|api key) is:? (?:{_QUOTE})?(?P<v>{_BARE}{{7,500}}[A-Za-z0-9])",
}
"""What stands where; `v` is the secret."""
MUST_LOOK_IT = frozenset({"API_KEY", "BEARER", "QUOTED", "SAID", "SERVICE_TOKEN"})
"""Words and kebab-case names stand in such places too."""
NAME = re.compile(rf"(?:^|[_ ]){_NAMES}$", re.IGNORECASE)
"""Of a variable whose value is a secret."""
DUMMY = re.compile(
    r"(?i)[*x.•#_-]+|none|null|true|false|undefined|string|hidden|removed|redacted|change[_-]?me|example\w*"
    r"|(?:my|your)[_-]?\w*|pass(?:word|wd|phrase)?|secret|token|postgres|root|user|admin|guest|test"
)
"""What documentation writes where a secret would be."""
HALF = re.compile("[\ud800-\udfff]")
LEAST = 8
"""Characters of something that looks like one."""


class Found(NamedTuple):
    start: int
    end: int
    kind: str


def find(text: str) -> list[Found]:
    """Where something in the text has the form of a secret, from left to right, never overlapping."""
    text = text if text.isascii() else HALF.sub("\ufffd", text)
    hits = sorted((found for form in _forms() for found in form.find(text)), key=lambda f: (f.start, -f.end))
    kept: list[Found] = []
    for found in hits:
        if not kept or found.start >= kept[-1].end:
            kept.append(found)

    return kept


def random(value: str) -> bool:
    """No word, no number, no name in kebab-case: letters and digits within one stretch of eight."""
    return any(
        len(piece) >= LEAST and any(map(str.isdigit, piece)) and any(map(str.isalpha, piece))
        for piece in re.split(r"[-_.\s]", value)
    )


class _Form:
    def __init__(self, kind: str, pattern: str, probe: SchemaValidator) -> None:
        self.kind = kind
        self._pattern = re.compile(pattern)
        self._probe = probe

    def find(self, text: str) -> Iterator[Found]:
        if not self._probe.isinstance_python(text):
            return

        for match in self._pattern.finditer(text):
            value = match["v"]
            if (self.kind not in MUST_LOOK_IT or random(value)) and not DUMMY.fullmatch(value):
                yield Found(*match.span("v"), self.kind)


def _keys() -> dict[str, list[tuple[str, str]]]:
    table: dict[str, list[tuple[str, str]]] = {}
    for line in KEYS.split("\n")[1:-1]:
        name, prefix, rest = line.split()
        table.setdefault(name, []).append((prefix, rest.replace("W", "[A-Za-z0-9_-]")))

    return table


def _begun(prefix: str, rest: str) -> str:
    """A word's beginning, also after an escaped newline. Looked at last, so that the prefix is searched for first."""
    return rf"{prefix}(?:(?<![A-Za-z0-9_]{prefix})|(?<=\\[nrt]{prefix})){rest}"


def _probe(*patterns: str) -> SchemaValidator:
    """Of repetitions only as many as tell enough: each costs the automaton a state."""

    def short(repeat: re.Match[str]) -> str:
        least = min(int(repeat[1]), ENOUGH)
        return "*" if repeat[2] and not least else f"{{{least},}}" if repeat[2] else f"{{{least}}}"

    loose = re.sub(r"\{(\d+)(,?)\d*\}", short, "|".join(patterns).replace("(?P<v>", "(?:"))
    return SchemaValidator(core_schema.str_schema(pattern=loose, regex_engine="rust-regex"))


ENOUGH = 10


@cache
def _forms() -> list[_Form]:
    forms = []
    for name, keys in _keys().items():
        whole = "|".join(_begun(*key) for key in keys)
        forms.append(_Form(name, f"(?P<v>{whole})", _probe(*map("".join, keys))))

    return forms + [_Form(name, pattern, _probe(pattern)) for name, pattern in PLACES.items()]


PROBE = _probe(*PLACES.values(), *("".join(key) for keys in _keys().values() for key in keys))
"""`isinstance_python(text)`: there may be something. It takes half a surrogate pair for no text at all."""
