"""A whole switch read at once: the document `opticd/device/1` of contract section 3."""

from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict

from agent.documents.reading import ReadingDocument, TroubleDocument, to_document
from agent.model import Reading, Trouble

SCHEMA: Final = "opticd/device/1"


class DeviceDocument(TypedDict):
    """`partial`: something was cut short, `errors` say what."""

    schema: str
    device: str
    ports: list[ReadingDocument]
    partial: NotRequired[bool]
    errors: NotRequired[list[TroubleDocument]]


@dataclass(frozen=True, slots=True)
class DeviceRead:
    """All ports of a device that have or can have a module; `troubles` say what was cut short."""

    device: str
    readings: tuple[Reading, ...]
    troubles: tuple[Trouble, ...] = ()

    def document(self) -> DeviceDocument:
        """As JSON."""
        document = DeviceDocument(schema=SCHEMA, device=self.device, ports=[to_document(r) for r in self.readings])
        if self.troubles:
            document["partial"] = True
            document["errors"] = [{"reason": each.reason, "detail": each.detail} for each in self.troubles]
        return document
