"""What happens on a fake switch and when: TOML files, the built-in ones beside this file in `scenarios/`.

    description = "One link flaps."
    modules = ["qsfpdd-400g-dr4", "sfp-10g-lr"]    # dealt to the ports in turn
    [[event]]
    kind = "flap"
    ports = [3]
    at_s = 10.0
    every_s = 20.0
    down_s = 1.5

With fewer ports than an event names, it happens on another port.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import ConfigError
from fakes.products import PRODUCTS

FOLDER: Final = Path(__file__).parent / "scenarios"

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Happening(_Table):
    """What every event has. `every_s` 0: it happens once; `jitter` is a part of that period."""

    ports: list[Annotated[int, Field(ge=1)]] | Literal["all"]
    at_s: Seconds = 0.0
    every_s: Seconds = 0.0
    jitter: Annotated[float, Field(ge=0, le=0.9)] = 0.0


class Ageing(_Happening):
    """A laser needs ever more current: `factor` 1 is twice as much."""

    kind: Literal["ageing"]
    lane: Annotated[int, Field(ge=1)] = 1
    factor: float = 2.0
    over_s: Seconds = 180.0


class Dirt(_Happening):
    """Dirt on a connector: less light at the receiver. `lane` 0 is all of them."""

    kind: Literal["dirt"]
    lane: Annotated[int, Field(ge=0)] = 0
    loss_db: float = 6.0
    over_s: Seconds = 120.0


class Heat(_Happening):
    """The module gets hotter, and after `hold_s` (0: never) cools down again."""

    kind: Literal["heat"]
    kelvin: float = 30.0
    over_s: Seconds = 120.0
    hold_s: Seconds = 0.0


class Flap(_Happening):
    """No light for a moment: the link goes down and comes back."""

    kind: Literal["flap"]
    down_s: Annotated[float, Field(gt=0, le=86_400)] = 1.0


class Host(_Happening):
    """The host stops driving the module: no signal at its transmitters for a moment."""

    kind: Literal["host"]
    down_s: Annotated[float, Field(gt=0, le=86_400)] = 1.0


class Signal(_Happening):
    """The far end sends light that carries nothing: its receiver here finds no clock in it (retimed modules)."""

    kind: Literal["signal"]
    down_s: Annotated[float, Field(gt=0, le=86_400)] = 1.0


class Fault(_Happening):
    """The firmware gives up for a moment: ModuleFault (CMIS alone has it)."""

    kind: Literal["fault"]
    down_s: Annotated[float, Field(gt=0, le=86_400)] = 5.0


class Admin(_Happening):
    """Somebody switches the port off, and on again."""

    kind: Literal["admin"]
    down_s: Annotated[float, Field(gt=0, le=86_400)] = 5.0


class Pull(_Happening):
    """Somebody takes the module out."""

    kind: Literal["pull"]


class Insert(_Happening):
    """Somebody puts a module in: `product`, or the one that was pulled when it is empty."""

    kind: Literal["insert"]
    product: str = ""


class Nack(_Happening):
    """The module is busy with itself and acknowledges nothing for some messages."""

    kind: Literal["nack"]
    messages: Annotated[int, Field(ge=1, le=10_000)] = 12


class Glitch(_Happening):
    """One read of a longer block returns nothing but FFh."""

    kind: Literal["glitch"]


class Flip(_Happening):
    """Bits of the next longer read arrive wrong: those of `mask`, in each of its first 32 bytes."""

    kind: Literal["flip"]
    mask: Annotated[int, Field(ge=1, le=255)] = 0x40


class Master(_Happening):
    """Another master selects page 00h right behind the next selects."""

    kind: Literal["master"]
    selects: Annotated[int, Field(ge=1, le=10_000)] = 4


class Eio(_Happening):
    """The next transactions fail in the adapter."""

    kind: Literal["eio"]
    times: Annotated[int, Field(ge=1, le=10_000)] = 4


class Lasting(_Happening):
    """What has an end."""

    down_s: Annotated[float, Field(gt=0, le=86_400)] = 5.0


class Level(Lasting):
    """The data line stays where it is: every byte read is `value`."""

    kind: Literal["level"]
    value: Literal[0, 255] = 255


class Stuck(Lasting):
    """The module does not switch pages any more."""

    kind: Literal["stuck"]


class Lie(Lasting):
    """Put in again, the module advertises banks and pages that it does not have (CMIS alone)."""

    kind: Literal["lie"]


class Slow(Lasting):
    """Every transaction takes so much longer."""

    kind: Literal["slow"]
    delay_s: Annotated[float, Field(gt=0, le=60)] = 2.0


class Hang(Lasting):
    """Transactions do not return."""

    kind: Literal["hang"]


class Away(Lasting):
    """The adapter is taken away."""

    kind: Literal["away"]


Trouble = Flip | Master | Eio | Level | Stuck | Lie | Slow | Hang | Away
"""What is wrong with the way to the module, or with the module's answers."""

Happening = Annotated[
    Ageing | Dirt | Heat | Flap | Host | Signal | Fault | Admin | Pull | Insert | Nack | Glitch | Trouble,
    Field(discriminator="kind"),
]


class Scenario(_Table):
    """A whole file."""

    description: str
    seed: int = 1
    modules: Annotated[list[str], Field(min_length=1)]
    event: list[Happening] = []


def names() -> tuple[str, ...]:
    """The built-in scenarios."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str) -> Scenario:
    """A built-in scenario by its name, or one from a file. Raises ConfigError."""
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"scenario {name!r}: {exc.strerror}", hint=f"built in are {', '.join(names())}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}") from exc
    wanted = {*scenario.modules, *(each.product for each in scenario.event if isinstance(each, Insert))}
    for product in sorted(wanted - {"", *PRODUCTS}):
        raise ConfigError(f"{path}: unknown module {product!r}", hint=f"one of {', '.join(PRODUCTS)}")
    return scenario
