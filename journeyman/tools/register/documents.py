"""Settings files of other programs: one entry in, one entry out, everything else as it was."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any, Literal, NamedTuple

from journeyman.tools.register import jsonc

Format = Literal["json", "toml", "yaml"]
Path = Sequence[str]


class Writer(NamedTuple):
    """Each raises ValueError where the text is not of that format, or something on the way is no table."""

    parse: Callable[[str], Any]
    put: Callable[[str, Path, Any], str]
    drop: Callable[[str, Path], str]


def changed(kind: Format, text: str, path: Path, value: Any | None) -> str:
    """The text with the entry at `path` set to a value, or without it.

    Raises:
        ValueError: it is not of that format; or the change would have changed more, which must not happen.
    """
    writer = WRITERS[kind]
    before = writer.parse(text)
    new = writer.drop(text, path) if value is None else writer.put(text, path, value)
    after = writer.parse(new)
    if _with(after, path, {}) != _with(before, path, {}) or _at(after, path) != value:
        raise ValueError("it is written in a way that cannot be changed without touching more than one entry")

    return new


def _with(document: Any, path: Path, value: Any) -> Any:
    name, *rest = path
    document = document if isinstance(document, Mapping) else {}
    return {**document, name: _with(document.get(name), rest, value) if rest else value}


def _at(document: Any, path: Path) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None

    return document


def _toml(text: str) -> Any:
    import tomlkit  # noqa: PLC0415
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise ValueError(str(error)) from None


def _put_toml(text: str, path: Path, value: Any) -> str:
    import tomlkit  # noqa: PLC0415

    document = _toml(text)
    table = document
    for name in path[:-1]:
        if name not in table:
            table[name] = tomlkit.table(is_super_table=True)

        table = _mapping(table[name], name)

    table[path[-1]] = value
    return tomlkit.dumps(document)


def _drop_toml(text: str, path: Path) -> str:
    import tomlkit  # noqa: PLC0415

    document = _toml(text)
    return tomlkit.dumps(document) if _dropped(document, path) else text


def _yaml(text: str) -> Any:
    return _read_yaml(text)[1]


def _read_yaml(text: str) -> tuple[Any, Any]:
    """Who writes it as it was written, and what it says."""
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415
    from ruamel.yaml.util import load_yaml_guess_indent  # noqa: PLC0415

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    try:
        _, indent, dash = load_yaml_guess_indent(text)
        if indent:
            yaml.indent(mapping=2, sequence=indent, offset=dash or 0)

        document = yaml.load(text)
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None

    return yaml, {} if document is None else _mapping(document, "it")


def _put_yaml(text: str, path: Path, value: Any) -> str:
    yaml, document = _read_yaml(text)
    table = document
    for name in path[:-1]:
        table = _mapping(table.setdefault(name, {}), name)

    table[path[-1]] = value
    return _dumped(yaml, document)


def _drop_yaml(text: str, path: Path) -> str:
    yaml, document = _read_yaml(text)
    return _dumped(yaml, document) if _dropped(document, path) else text


def _dumped(yaml: Any, document: Any) -> str:
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _dropped(document: Any, path: Path) -> bool:
    table = document
    for name in path[:-1]:
        if name not in table:
            return False

        table = _mapping(table[name], name)

    return table.pop(path[-1], None) is not None


def _mapping(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is no table")  # noqa: TRY004 - a wrong file, not a wrong call

    return value


WRITERS: dict[Format, Writer] = {
    "json": Writer(jsonc.parse, jsonc.put, jsonc.drop),
    "toml": Writer(_toml, _put_toml, _drop_toml),
    "yaml": Writer(_yaml, _put_yaml, _drop_yaml),
}
