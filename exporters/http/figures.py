"""Reliability figures of links as the JSON of the HTTP interface."""

from collections.abc import Iterable
from typing import Final, NotRequired, TypedDict

from agent.links.reliability import (
    CONFIDENCE,
    EVERYTHING,
    KIND,
    PART,
    PORT,
    VENDOR,
    Figure,
    Key,
    Record,
    figures,
    records,
)
from agent.state import Hub

SCHEMA: Final = "opticd/reliability/1"


class FigureDocument(TypedDict):
    """The figures of some links; which ones, say the keys that are there beside them."""

    device: NotRequired[str]
    port: NotRequired[str]
    form_factor: NotRequired[str]
    vendor_name: NotRequired[str]
    part_number: NotRequired[str]
    links: int
    link_hours: float
    unintentional_downs: int
    link_hours_per_down: NotRequired[float]
    """Absent while no link went down by itself."""
    link_hours_per_down_lower95: float


class FiguresDocument(TypedDict):
    """`opticd/reliability/1`; in each list those of which the least is certain stand first."""

    schema: str
    confidence: float
    fleet: FigureDocument
    form_factors: list[FigureDocument]
    vendors: list[FigureDocument]
    parts: list[FigureDocument]
    ports: list[FigureDocument]


def figures_document(hub: Hub, *, monotonic: float, device: str = "") -> FiguresDocument:
    """The figures of one device, or of all, until now (`monotonic` seconds)."""
    counted = [each for each in records(hub, monotonic=monotonic) if device in ("", each.device)]
    every = _documents(counted, EVERYTHING)
    return FiguresDocument(
        schema=SCHEMA,
        confidence=CONFIDENCE,
        fleet=every[0] if every else _document(Figure((), 0, 0.0, 0), ()),
        form_factors=_documents(counted, KIND, "form_factor"),
        vendors=_documents(counted, VENDOR, "vendor_name"),
        parts=_documents(counted, PART, "vendor_name", "part_number"),
        ports=_documents(counted, PORT, "device", "port"),
    )


def port_figure(hub: Hub, device: str, port: str, *, monotonic: float) -> FigureDocument | None:
    """The figures of one port; None where nobody watches its link."""
    counted = (each for each in records(hub, monotonic=monotonic) if (each.device, each.port) == (device, port))
    return next(iter(_documents(counted, PORT, "device", "port")), None)


def _documents(counted: Iterable[Record], by: Key, *names: str) -> list[FigureDocument]:
    return [_document(figure, names) for figure in figures(counted, by=by)]


def _document(figure: Figure, names: tuple[str, ...]) -> FigureDocument:
    document = FigureDocument(
        links=figure.links,
        link_hours=figure.link_hours,
        unintentional_downs=figure.downs,
        link_hours_per_down_lower95=figure.lower_bound,
    )
    for name, value in zip(names, figure.name, strict=True):
        if value:
            document[name] = value  # type: ignore[literal-required]  # names are keys of the document
    if figure.hours_per_down is not None:
        document["link_hours_per_down"] = figure.hours_per_down
    return document
