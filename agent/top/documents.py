"""What the HTTP interface of a daemon says, checked. Keys of a newer daemon are ignored."""

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

Level = Literal["absent", "disabled", "ok", "down", "notice", "warning", "unreadable", "critical"]


Limits = dict[str, float]
"""Thresholds of one quantity by name (`low_alarm`, …); those that the module does not give are absent."""


class Document(BaseModel):
    """One JSON object; what is not known of a port is absent, here None or empty."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Row(Document):
    """One port of `/api/v1/summary`. Values are the smallest and largest over the lanes."""

    device: str
    port: str
    group: str = ""
    level: Level = "ok"
    why: tuple[str, ...] = ()
    alerts: int = 0
    swaps: int = 0
    module: dict[str, str] = Field(default_factory=dict[str, str])
    link: str = ""
    flaps: int | None = None
    lanes: int | None = None
    rx_margin_db: float | None = None
    values: dict[str, tuple[float, float]] = Field(default_factory=dict[str, tuple[float, float]])

    @property
    def key(self) -> "Key":
        """What tells it from every other port."""
        return self.device, self.port


Key = tuple[str, str]
"""Device and port."""


class Alert(Document):
    """One alert transition; `lane` 0 is the whole port."""

    time: datetime
    device: str
    port: str
    rule: str
    severity: Literal["info", "warning", "critical"]
    state: Literal["firing", "resolved"]
    lane: int = 0
    summary: str = ""
    cause: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What one alert is, through its transitions."""
        return self.device, self.port, self.rule, self.lane


class Lane(Document):
    """One lane of a reading."""

    lane: int
    rx_power_dbm: float | None = None
    tx_power_dbm: float | None = None
    tx_bias_amperes: float | None = None
    media_snr_db: float | None = None
    datapath_state: str = ""
    tx_disabled: bool = False
    flags: tuple[str, ...] = ()


class Trouble(Document):
    """Why something could not be read."""

    reason: str
    detail: str = ""


class LinkDocument(Document):
    """The link of a port."""

    oper_up: bool | None = None
    admin_up: bool = True
    transitions: int = 0
    up_seconds: float = 0.0
    last_change: datetime | None = None
    down_events: dict[str, int] = Field(default_factory=dict[str, int])


class Observable(Document):
    """One versatile diagnostics observable; `lane` 0 is module wide."""

    observable: str
    lane: int = 0
    value: float
    unit: str = ""


class LaserDocument(Document):
    """One laser of an external source."""

    laser: int
    state: str = ""
    tx_power_dbm: float | None = None
    tx_bias_amperes: float | None = None
    flags: tuple[str, ...] = ()


class PastLane(Document):
    """One lane of a sample of the past."""

    rx_power_dbm: float | None = None
    tx_bias_amperes: float | None = None


class Sample(Document):
    """One sample of the past."""

    time: datetime
    temperature_celsius: float | None = None
    lanes: tuple[PastLane, ...] = ()


class Port(Document):
    """One reading with what is known beside it: `/api/v1/ports/{port}`, and the event `reading`."""

    device: str
    port: str
    time: datetime | None = None
    module: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    module_state: str = ""
    values: dict[str, float] = Field(default_factory=dict[str, float])
    lanes: tuple[Lane, ...] = ()
    thresholds: dict[str, Limits] = Field(default_factory=dict[str, Limits])
    flags: tuple[str, ...] = ()
    vdm: tuple[Observable, ...] = ()
    coherent: dict[str, dict[str, float]] = Field(default_factory=dict[str, dict[str, float]])
    lasers: tuple[LaserDocument, ...] = ()
    unread: tuple[str, ...] = ()
    errors: tuple[Trouble, ...] = ()
    present: bool = True
    up: bool = True
    trouble: Trouble | None = None
    link: LinkDocument | None = None
    history: tuple[Sample, ...] = ()
    events: tuple[Alert, ...] = ()


class Forgotten(Document):
    """A port that nobody asks for any more."""

    device: str
    port: str


ROWS: Final = TypeAdapter(tuple[Row, ...])
ALERTS: Final = TypeAdapter(tuple[Alert, ...])
PORT: Final = TypeAdapter(Port)
