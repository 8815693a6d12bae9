"""Takes secrets out of texts that leave the host: config files, logs, answers of the daemon."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, cast

HIDDEN: Final = "[removed]"
_LEAST: Final = 4
"""Shorter secrets would take half of any text with them; the files that hold them are never part of a report."""
_WORDS: Final = r"(?:pass|secret|token|community|credential|private|api_?key|psk)"
_SECRET_KEY: Final = re.compile(_WORDS, re.IGNORECASE)
_ASSIGNMENT: Final = re.compile(r"""^(\s*["']?(?P<key>[\w.-]+)["']?\s*=\s*)(?P<value>.*)$""")
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s\"'@]*@")
_OPTION: Final = re.compile(
    rf"""(?P<key>[\w-]*{_WORDS}[\w-]*)(?P<is>\s*=\s*|["']\s*:\s*)(?P<value>"[^"]*"|'[^']*'|[^\s&"',;{{}}\[\]]+)""",
    re.IGNORECASE,
)
"""In addresses, inline tables, logs, JSON."""
_HASH: Final = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}")
_HEADER: Final = re.compile(r"(?i)(authorization:\s*)\S.*")
_LINE: Final = 16
"""Lines of a longer file (a private key) that count as secrets of their own."""


def redacted_config(text: str) -> str:
    """A config file without comments and without values that may be secrets; lines keep their numbers.

    A value that goes over several lines is removed as a whole when its key sounds like a secret.
    """
    lines: list[str] = []
    hiding = ""
    for line in text.splitlines():
        if hiding:
            hiding = "" if hiding in line else hiding
            lines.append("")
            continue
        bare = _without_comment(line)
        found = _ASSIGNMENT.match(bare)
        if found and _is_secret(found["key"]):
            value = found["value"].lstrip()
            hiding = next((q for q in ('"""', "'''") if value.startswith(q) and value.count(q) < 2), "")
            hiding = hiding or ("]" if value.startswith("[") and "]" not in value else "")
            lines.append(f'{found[1]}"{HIDDEN}"')
        else:
            lines.append(scrubbed(bare))
    return "\n".join(lines) + "\n"


def _without_comment(line: str) -> str:
    quote = ""
    for at, char in enumerate(line):
        if quote:
            quote = "" if char == quote and line[at - 1 : at] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            return line[:at].rstrip()
    return line.rstrip()


def _is_secret(key: str) -> bool:
    last = key.rsplit(".", 1)[-1]
    return bool(_SECRET_KEY.search(last)) and not last.endswith(("_file", "_path"))


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without these secrets, users in addresses, options and headers that carry one, hashes of passwords."""
    for secret in sorted({s for s in secrets if len(s) >= _LEAST}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _USER_INFO.sub(f"{HIDDEN}@", text)
    text = _HEADER.sub(rf"\g<1>{HIDDEN}", text)
    text = _HASH.sub(HIDDEN, text)
    return _OPTION.sub(_without_value, text)


def _without_value(option: re.Match[str]) -> str:
    if not _is_secret(option["key"]):
        return option[0]
    quote = option["value"][0] if option["value"][0] in "\"'" else ""
    return f"{option['key']}{option['is']}{quote}{HIDDEN}{quote}"


def secrets_of(text: str, read: Callable[[str], str]) -> set[str]:
    """The secrets in a config file, and in the files it names; `read` gives the text of a file, or ""."""
    found: set[str] = set()
    try:
        pairs = list(_pairs(tomllib.loads(text)))
    except tomllib.TOMLDecodeError:  # what is wrong with the file may be why there is a report
        matches = (_ASSIGNMENT.match(_without_comment(line)) for line in text.splitlines())
        pairs = [(match["key"], match["value"].strip().strip("\"'")) for match in matches if match]
    for key, value in pairs:
        if _is_secret(key):
            found.add(value)
        if key.endswith("_file") or key == "web_config":
            content = read(value)
            found.update(_HASH.findall(content))
            if "PUBLIC" not in content and "CERTIFICATE" not in content and key != "web_config":
                found.update((content.strip(), *(part for part in content.split() if len(part) >= _LINE)))
        if info := re.search(r"://([^/\s@]*)@", value):
            found.update(info[1].split(":", 1))
        found.update(match["value"].strip("\"'") for match in _OPTION.finditer(value) if _is_secret(match["key"]))
    return {secret for secret in found if secret}


def _pairs(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document with the key it stands under."""
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            yield from _pairs(inner, name)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _pairs(inner, key)
    elif isinstance(value, str | int | float):
        yield key, str(value)
