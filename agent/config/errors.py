"""What pydantic says of a config file, as one line a mistake with its place in the file."""

import re
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import ValidationError

from agent.config.sources import Source
from agent.near import did_you_mean
from agent.section import Section

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def explain(error: ValidationError, model: type[Section], text: str, name: str) -> list[str]:
    """Every mistake that pydantic found in the file `name`: a line each, with its place and the nearest key."""
    lines: list[str] = []
    for item in error.errors(include_url=False):
        # pydantic puts the tag of a union (the source's type) into the path: no key of the file.
        loc = item["loc"]
        path = [part for at, part in enumerate(loc) if not (at and isinstance(loc[at - 1], int) and part in TAGS)]
        where = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in path).replace(".[", "[")
        if item["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(model, str(path[-1]), path[:-1])}"
        elif item["type"] == "string_pattern_mismatch" and (shown := _examples(model, path)):
            message = f"expected as in {shown}"
        else:
            message = _in_words(item, path)
        line = _line_of(path, text) or _line_of(path[:-1], text)
        lines.append(f"{name}{f':{line}' if line else ''}: {f'{where}: ' if where else ''}{message}")
    return lines


def _in_words(item: "ErrorDetails", path: list[int | str]) -> str:
    """What is wrong, ending in what to write. Values are shown where no secret is expected."""
    given, context = item["input"], item.get("ctx", {})
    match item["type"]:
        case "missing":
            return "this key is needed"
        case "union_tag_not_found":
            return f"the key {context['discriminator']} is needed, one of {', '.join(sorted(TAGS))}"
        case "union_tag_invalid":
            near = did_you_mean(str(context["tag"]), TAGS)
            return f"type {context['tag']!r} is none of {', '.join(sorted(TAGS))}{near}"
        case "list_type" if isinstance(given, dict) and len(path) == 1:
            return f"several can be given, so with two brackets: [[{path[0]}]]"
        case "list_type":
            return "a list is expected, as in [...]"
        case "string_type":
            return "a text in quotes is expected"
        case "bool_type" | "bool_parsing":
            return "true or false is expected, without quotes"
        case "float_type" | "float_parsing" | "int_type" | "int_parsing" | "int_from_float":
            whole = "whole number" if item["type"].startswith("int") else "number"
            return f"{given!r} is no {whole}: it is written without quotes"
        case "literal_error":
            return f"{given!r} is none of {context['expected']}"
        case _:
            return item["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def _examples(model: type[Section], path: list[int | str]) -> str:
    """How a text with a form of its own is written, as its field says."""
    fields = [section.model_fields.get(str(path[-1])) for section in _sections(model, path[:-1])]
    return " or ".join(str(example) for field in fields if field for example in field.examples or ())


def _nearest(model: type[Section], key: str, path: list[int | str]) -> str:
    known = [name for section in _sections(model, path) for name in section.model_fields]
    return did_you_mean(key, known)


def _sections(model: type[Section], path: list[int | str]) -> list[type[Section]]:
    """The models that the table at this path can be."""
    found: list[type[Section]] = [model]
    for part in path:
        if not isinstance(part, int):
            fields = [section.model_fields[part] for section in found if part in section.model_fields]
            found = [model for field in fields for model in _models_in(field.annotation)]
    return found


def _models_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models_in(inner)]


def _line_of(path: list[Any], text: str) -> int:
    """Line of the key in the file, 0 when it cannot be told (dotted or inline tables)."""
    while len(path) > 2 and isinstance(path[-1], int):  # an item of a list: the line of the list
        path = path[:-1]
    wanted = ".".join(str(part) for part in path[:-1] if not isinstance(part, int))
    index = next((part for part in path if isinstance(part, int)), 0)
    table, seen = "", -1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[(\[?)\s*([\w.\"-]+)\s*\]?\]", line):
            table = header[2]
            whole = ".".join(str(part) for part in path if not isinstance(part, int))
            seen = seen + 1 if header[1] and table in {wanted, whole} else (0 if table == wanted else seen)
            if table == whole and (seen == index or not header[1]):
                return number
        elif table == wanted and (seen == index or not any(isinstance(part, int) for part in path)):
            key = re.match(r"\s*([\w-]+|\"[^\"]+\")\s*=", line)
            if key and path and key[1].strip('"') == str(path[-1]):
                return number
    return 0


TAGS: Final = frozenset(get_args(model.model_fields["type"].annotation)[0] for model in _models_in(Source))
