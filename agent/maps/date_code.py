"""Date codes: YYMMDD and two characters of lot, the same in SFF-8472, SFF-8636 and CMIS."""

import re
from datetime import date
from typing import Final

from agent.maps.registers import Field
from agent.memory import Memory

_DATE: Final = re.compile(r"(\d\d)(\d\d)(\d\d)")


def date_and_lot(field: Field, memory: Memory) -> tuple[str | None, str | None]:
    """ISO date of a date code (YYMMDD and two characters of lot), and the lot; None for what is not there."""
    data = memory.get(field.span())
    if data is None:
        return None, None
    lot = field.text(data[6:8]) or None
    digits = _DATE.fullmatch(field.text(data[:6]))
    if digits is None:
        return None, lot
    try:
        # Two digits of the year count from 2000 by the specifications.
        return date(2000 + int(digits[1]), int(digits[2]), int(digits[3])).isoformat(), lot
    except ValueError:
        return None, lot
