"""Secrets as placeholders: nobody downstream of the veil reads a secret, not the model, not the trace.

    veil.hide("GITHUB_TOKEN=ghp_0123...")   ->  "GITHUB_TOKEN=SECRET_GITHUB_TOKEN_k3f9qd2w"
    veil.fill(...)                          ->  what it was

Hidden are the values that the user has named, those of environment variables that are called like one, whatever has the
form of one (`shapes.py`), and from then on the same value wherever it turns up, also in base64, in a URL, in JSON, or
cut off. The placeholder's end is a keyed hash: the same secret has the same placeholder, nobody can guess one, and a
later process that knows the secret knows the placeholder. What it stands for is kept in this object and nowhere else.
"""

import base64
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from pydantic_core import SchemaValidator, core_schema

from journeyman import shapes
from journeyman.errors import ConfigError, SecretLost
from journeyman.shapes import Found

PLACEHOLDER = re.compile(r"SECRET_(?:(?!SECRET)[A-Z0-9_]){1,40}_(?P<tag>[a-z2-7]{8})")
SHORTEST = 6
"""Characters of a secret that a user may name: a shorter one stands in ordinary words."""
END = 16
"""Characters of a secret's beginning or end that are recognised without the rest."""
MOST = 500
"""Secrets that are looked for by their value, of those that were only found by their form."""


class Veil:
    """One for each run (`fresh`), made from the one that knows what the user has named.

    Args:
        values: the secrets that are known, each with a name.
        key: gives the key of the placeholders' hashes when it is first needed; one that nobody knows by default.
    """

    def __init__(self, values: Iterable[tuple[str, str]] = (), key: Callable[[], bytes] | None = None) -> None:
        self._key = key or cache(partial(secrets.token_bytes, 32))
        self._texts: dict[str, str] = {}
        """What stands behind a placeholder, by its tag."""
        self._known: dict[str, str] = {}
        """What is looked for, with its kind."""
        self._ends: dict[str, tuple[str, str]] = {}
        """By the first or last characters: the kind and the whole."""
        self._probe: SchemaValidator | None = None
        for name, value in values:
            self._know(re.sub(r"(?:SECRET|[^A-Z0-9])+", "_", name.upper())[:32].strip("_") or "VALUE", value)

    def fresh(self) -> Self:
        """For a run of its own: what that run finds is not remembered after it."""
        other = copy(self)
        vars(other).update({name: dict(value) for name, value in vars(self).items() if isinstance(value, dict)})
        return other

    def hide(self, text: str) -> str:
        """The text with a placeholder for every secret in it; the same object where there is none."""
        if not self.suspects(text):
            return text

        known = len(self._known)
        hidden = self._hidden(text)
        return hidden if len(self._known) == known else self._hidden(hidden)  # it may stand elsewhere too

    def suspects(self, text: str) -> bool:
        """There may be something to hide: quick, and never wrong where it says no."""
        return shapes.PROBE.isinstance_python(text) or self._has_known(text)

    def fill(self, text: str) -> str:
        """The text as it was before `hide`.

        Raises:
            SecretLost: it has a placeholder that this process knows nothing of.
        """
        return PLACEHOLDER.sub(self._text, text) if "SECRET_" in text else text

    def hide_json(self, text: str) -> str:
        """`hide` for JSON text: what is in its strings, so that it can be filled in again."""
        return _in_json(text, self.hide) if self.suspects(text) else text

    def fill_json(self, text: str) -> str:
        """`fill` for JSON text.

        Raises:
            SecretLost: as for `fill`.
        """
        return _in_json(text, self.fill) if PLACEHOLDER.search(text) else text

    def _hidden(self, text: str) -> str:
        pieces, at = [], 0
        for start, end, kind in _apart(sorted(self._spans(text)), text):
            value = text[start:end]
            if value not in self._known and len(self._known) < MOST and shapes.random(value):
                self._know(kind, value)

            pieces += [text[at:start], self._placeholder(self._known.get(value, kind), value)]
            at = end

        return "".join([*pieces, text[at:]]) if pieces else text

    def _spans(self, text: str) -> Iterator[Found]:
        yield from shapes.find(text)
        if not self._has_known(text):
            return

        for known, kind in self._known.items():
            for at in _places(text, known):
                yield Found(at, at + len(known), kind)

        for end, (kind, whole) in self._ends.items():
            for at in _places(text, end):
                yield Found(*_grown(text, at, end, whole), kind)

    def _has_known(self, text: str) -> bool:
        if self._known:
            self._probe = self._probe or _any_of([*self._known, *self._ends])
            if self._probe.isinstance_python(text):
                return True

        return not text.isascii() and _broken(text)

    def _know(self, kind: str, value: str) -> None:
        """Look for the value from now on, however it is spelled."""
        self._probe = None
        for spelled in _spellings(value):
            self._known[spelled] = kind
            self._placeholder(kind, spelled)  # an earlier process may have written it
            for end in (spelled[:END], spelled[-END:]):
                if len(spelled) >= END + shapes.LEAST and shapes.random(end):
                    self._ends[end] = (kind, spelled)

    def _placeholder(self, kind: str, text: str) -> str:
        digest = hmac.digest(self._key(), text.encode(errors="surrogatepass"), "sha256")
        tag = base64.b32encode(digest[:5]).decode().lower()
        self._texts[tag] = text
        return f"SECRET_{kind}_{tag}"

    def _text(self, match: re.Match[str]) -> str:
        if match["tag"] not in self._texts:
            raise SecretLost(
                f"{match[0]} stands for a secret that only the process which read it has known",
                fix="Read it again where it was found, or name it in the settings: JOURNEYMAN_SECRETS=env:NAME",
            )

        return self._texts[match["tag"]]


def named(
    entries: Iterable[str], environment: Mapping[str, str], given: Iterable[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """Names and values: of variables that are called like a secret, then what the setting names.

    Args:
        entries: `env:NAME`, `file:PATH` (each line; of `NAME=value` the value) or `value:TEXT`.
        environment: variables by name; `env:` of one that is not set names nothing.
        given: variables of others.

    Raises:
        ConfigError: an entry is none of these, its file cannot be read, or it is too short to be told from a word.
    """
    found = [pair for pair in (*environment.items(), *given) if _is_one(*pair)]
    for entry in entries:
        kind, _, rest = entry.partition(":")
        match kind:
            case "env":
                found.append((rest, environment.get(rest, "")))
            case "file":
                found += _of_file(Path(rest).expanduser())
            case "value" if len(rest) >= SHORTEST:
                found.append(("VALUE", rest))
            case _:
                fix = f"write env:NAME, file:PATH or value:TEXT, with {SHORTEST} characters or more"
                raise ConfigError("secrets: an entry names no secret", fix=fix)

    return [(name, value) for name, value in found if len(value) >= SHORTEST]


def _is_one(name: str, value: str) -> bool:
    """Not the path of a file that has one."""
    return bool(shapes.NAME.search(name)) and shapes.random(value) and not os.path.exists(value)  # noqa: PTH110


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"secrets: {path} cannot be read: {error}", fix="correct the path or its rights") from None

    for line in lines:
        value = re.sub(r"^(?:export )?\s*[A-Za-z_]\w*\s*=\s*(?=\S{6})", "", line).strip().strip("'\"")
        if not value.startswith(("#", "-----")):
            yield path.name, value


def _spellings(value: str) -> Iterator[str]:
    """The value, and how it is written in JSON, in a URL and within something in base64, where it differs."""
    data = value.encode(errors="surrogatepass")
    yield from dict.fromkeys([value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]])
    if (in_url := quote(data, safe="")) != value:
        yield in_url

    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + data).decode()
        inner = whole[(0, 2, 3)[shift] : len(whole) - (0, 3, 2)[(shift + len(data)) % 3]]
        if len(inner) >= 2 * shapes.LEAST:
            yield inner


def _places(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + len(wanted))


def _apart(spans: Iterable[Found], text: str) -> Iterator[Found]:
    """Those that overlap as one; of one that overlaps a placeholder what is left of it, if that is worth hiding."""
    done = [match.span() for match in PLACEHOLDER.finditer(text)]
    whole: list[Found] = []
    for span in spans:
        if whole and span.start < whole[-1].end:
            whole[-1] = whole[-1]._replace(end=max(span.end, whole[-1].end))
        else:
            whole.append(span)

    for start, end, kind in whole:
        least = 1
        for until, after in (each for each in done if each[0] < end and start < each[1]):
            least = shapes.LEAST
            if until - start >= least:
                yield Found(start, until, kind)

            start = after  # noqa: PLW2901 - the rest

        if end - start >= least:
            yield Found(start, end, kind)


def _grown(text: str, at: int, end: str, whole: str) -> tuple[int, int]:
    """From where to where the whole stands there, of which the text has at least one end."""
    if whole.startswith(end):
        return at, at + _alike(text[at : at + len(whole)], whole)

    until = at + len(end)
    return until - _alike(text[max(until - len(whole), 0) : until][::-1], whole[::-1]), until


def _alike(a: str, b: str) -> int:
    """How many characters they begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _any_of(texts: Iterable[str]) -> SchemaValidator:
    whole = [text for text in texts if not _broken(text)]  # those that are not stand only in texts that are not
    plain = ("".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text) for text in whole)
    return SchemaValidator(core_schema.str_schema(pattern="|".join(plain), regex_engine="rust-regex"))


def _broken(text: str) -> bool:
    """Has half a surrogate pair, which the automaton does not take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True

    return False


def _in_json(text: str, change: Callable[[str], str]) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # whoever reads it will say what is wrong
        return change(text)

    return json.dumps(over(value, change), ensure_ascii=False)


def over(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with every string in it changed, keys too; the same object where none was."""
    if isinstance(value, str):
        return change(value)

    if isinstance(value, dict):
        pairs = [(change(key), over(item, change)) for key, item in value.items()]
        same = all(key is old and item is value[old] for (key, item), old in zip(pairs, value, strict=True))
        return value if same else dict(pairs)

    if isinstance(value, list | tuple):
        items = [over(item, change) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else type(value)(items)

    return value
