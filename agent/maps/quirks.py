"""Quirks as data: rows of `quirks.toml` and of the user's own file, and which of them apply to a module."""

import re
import threading
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agent.errors import ConfigError
from agent.model import Module
from agent.near import did_you_mean
from agent.quantities import FLAGS, QUANTITIES

T_ = TypeVar("T_")
Page = Literal["coherent", "linear", "lasers"]


def _fraction(value: object) -> object:
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return value
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError("expected a fraction such as '1/10000000'") from None


_QUANTITIES: Final = frozenset(quantity.key for quantity in QUANTITIES)
_KEYS: Final = _QUANTITIES | {flag.name for flag in FLAGS} | {"tx_disabled"}


def _known(name: str, names: Iterable[str]) -> str:
    if name in names:
        return name
    raise ValueError(f"a reading has no {name!r}{did_you_mean(name, names)}")


Lsb = Annotated[Fraction, BeforeValidator(_fraction)]
Key = Annotated[str, AfterValidator(lambda name: _known(name, _KEYS))]
"""What a reading calls a monitor or a flag."""
QuantityKey = Annotated[str, AfterValidator(lambda name: _known(name, _QUANTITIES))]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True)


class Replacement(_Row):
    """Another place or scale of a register; what is absent stays."""

    page: int | None = Field(default=None, ge=0, le=255)
    offset: int | None = Field(default=None, ge=0, le=255)
    lsb: Lsb | None = None


class CustomObservable(_Row):
    """What a custom type code of VDM means."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["U16", "S16", "F16"] = "U16"
    lsb: Lsb = Fraction(1)
    unit: str = ""


class Quirk(_Row):
    """One row; see the head of `quirks.toml`."""

    name: str = Field(min_length=1)
    reference: str = ""
    text: str = ""
    vendor: str = "*"
    part_number: str = "*"
    firmware: str = Field(default="", pattern=r"^(\d+\.\d+)?(-(\d+\.\d+)?)?$")
    identifier: int | None = None
    media_technology: tuple[int, ...] = ()
    offered: tuple[Key, ...] = ()
    not_offered: tuple[Key, ...] = ()
    replace: dict[QuantityKey, Replacement] = {}
    banks: int | None = Field(default=None, ge=1, le=8)
    staged_applications: bool = False
    pages: tuple[Page, ...] = ()
    vdm: dict[int, CustomObservable] = {}
    settle_s: float | None = Field(default=None, ge=0, le=1)
    busy_limit_s: float | None = Field(default=None, ge=0, le=2)
    single_byte: bool = False

    def applies(self, module: Module, media_technology: int | None) -> bool:
        """Whether the row speaks of this module."""
        return (
            _like(module.get("vendor_name", ""), self.vendor)
            and _like(module.get("part_number", ""), self.part_number)
            and (self.identifier is None or self.identifier == module.get("identifier"))
            and (not self.media_technology or media_technology in self.media_technology)
            and (not self.firmware or _within(module.get("firmware_revision", ""), self.firmware))
        )


class _File(_Row):
    quirk: tuple[Quirk, ...] = ()


@dataclass(frozen=True, slots=True)
class Effects:
    """What all the rows that apply to one module change together; later rows win."""

    names: tuple[str, ...] = ()
    offered: frozenset[str] = frozenset()
    not_offered: frozenset[str] = frozenset()
    replace: Mapping[str, Replacement] = field(default_factory=dict[str, Replacement])
    banks: int | None = None
    staged_applications: bool = False
    pages: frozenset[str] = frozenset()
    vdm: Mapping[int, CustomObservable] = field(default_factory=dict[int, CustomObservable])
    settle_s: float | None = None
    """Seconds to wait after a page select; None: the driver's own."""
    busy_limit_s: float | None = None
    """Seconds to ask for an acknowledge after it; None: the driver's own."""
    single_byte: bool = False
    """Read byte by byte."""


def parse(text: str, *, name: str) -> tuple[Quirk, ...]:
    """The rows of a file; `name` is what messages call it. Raises ConfigError."""
    try:
        return _File.model_validate(tomllib.loads(text)).quirk
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{name}: {exc}") from exc
    except ValidationError as exc:
        raise ConfigError("\n".join(f"{name}: {line}" for line in _explain(exc))) from exc


def _explain(error: ValidationError) -> Iterator[str]:
    """One line a mistake: where, what, and the key that was perhaps meant."""
    for item in error.errors(include_url=False):
        where = ".".join(f"[{part}]" if isinstance(part, int) else part for part in item["loc"]).replace(".[", "[")
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            known = [*_File.model_fields, *Quirk.model_fields, *Replacement.model_fields]
            message = f"unknown key{did_you_mean(str(item['loc'][-1]), known)}"
        yield f"{where}: {message}"


_FIRST: Final = threading.Lock()
"""The threads of all buses meet their first modules at the same moment: one of them reads the file for all."""


def builtin() -> tuple[Quirk, ...]:
    """The rows that come with opticd."""
    with _FIRST:
        return _builtin()


@cache
def _builtin() -> tuple[Quirk, ...]:
    text = Path(__file__).with_name("quirks.toml").read_text(encoding="utf-8")
    return parse(text, name="quirks.toml")


def effects(rows: Iterable[Quirk], module: Module, media_technology: int | None = None) -> Effects:
    """What the rows change for this module."""
    mine = [row for row in rows if row.applies(module, media_technology)]
    if not mine:
        return _NONE
    return Effects(
        names=tuple(row.name for row in mine),
        offered=frozenset(key for row in mine for key in row.offered),
        not_offered=frozenset(key for row in mine for key in row.not_offered),
        replace={key: value for row in mine for key, value in row.replace.items()},
        banks=_last([row.banks for row in mine]),
        staged_applications=any(row.staged_applications for row in mine),
        pages=frozenset(page for row in mine for page in row.pages),
        vdm={code: value for row in mine for code, value in row.vdm.items()},
        settle_s=_last([row.settle_s for row in mine]),
        busy_limit_s=_last([row.busy_limit_s for row in mine]),
        single_byte=any(row.single_byte for row in mine),
    )


_NONE: Final = Effects()


def _last(values: Sequence[T_ | None]) -> T_ | None:
    return next((value for value in reversed(values) if value is not None), None)


@lru_cache(maxsize=4096)
def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text.casefold(), pattern.casefold())


def _within(firmware: str, limits: str) -> bool:
    if not re.fullmatch(r"\d+\.\d+", firmware):
        return False
    first, dash, last = limits.partition("-")
    here = _version(firmware)
    if not dash:
        return here == _version(first)
    return (not first or _version(first) <= here) and (not last or here <= _version(last))


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
