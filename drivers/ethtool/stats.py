"""What a card says of its link beside the module: error correction (FEC) and why a link is down. Not a driver.

ETHTOOL_MSG_FEC_GET and ETHTOOL_MSG_LINKSTATE_GET with ETHTOOL_FLAG_STATS; both are answered without privileges.

Documents: Documentation/networking/ethtool-netlink.rst; uapi/linux/ethtool_netlink_generated.h (FEC_HIST: 6.18).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from agent.errors import DecodeError, DriverError
from agent.model import FecBin
from agent.quantities import FEC_CORRECTED, FEC_CORRECTED_BITS, FEC_UNCORRECTABLE, Quantity
from drivers.ethtool.genetlink import Answer, Codec, CodecClass, GenericNetlink, Refused, declare, declare_nested

ETHTOOL_MSG_LINKSTATE_GET: Final = 6
ETHTOOL_MSG_FEC_GET: Final = 29
ETHTOOL_FLAG_STATS: Final = 4

FEC_STATS: Final = {
    "ETHTOOL_A_FEC_STAT_CORRECTED": FEC_CORRECTED,
    "ETHTOOL_A_FEC_STAT_UNCORR": FEC_UNCORRECTABLE,
    "ETHTOOL_A_FEC_STAT_CORR_BITS": FEC_CORRECTED_BITS,
}

EXT_STATES: Final = (
    "autonegotiation",
    "link training failure",
    "logical mismatch",
    "bad signal integrity",
    "no cable",
    "cable issue",
    "module EEPROM issue",
    "calibration failure",
    "power budget exceeded",
    "overheat",
    "module",
)
"""ETHTOOL_LINK_EXT_STATE_*, from 0."""
EXT_SUBSTATES: Final[Mapping[int, tuple[str, ...]]] = {
    0: (
        "no partner detected",
        "acknowledge not received",
        "next page exchange failed",
        "no partner detected in force mode",
        "FEC mismatch during override",
        "no highest common denominator",
    ),
    1: (
        "KR frame lock not acquired",
        "KR link inhibit timeout",
        "KR link partner did not set receiver ready",
        "remote side is not ready yet",
    ),
    2: (
        "PCS did not acquire block lock",
        "PCS did not acquire AM lock",
        "PCS did not get align status",
        "FC FEC is not locked",
        "RS FEC is not locked",
    ),
    3: (
        "large number of physical errors",
        "unsupported rate",
        "SerDes reference clock lost",
        "SerDes ALOS",
    ),
    5: ("unsupported cable", "cable test failure"),
    10: ("CMIS module is not in DataPath activated state",),
}
"""ETHTOOL_LINK_EXT_SUBSTATE_*, from 1."""


@dataclass(frozen=True, slots=True)
class CardLink:
    """`why` a link is down ("" while it is up or nobody knows); `downs` None where the driver does not count."""

    why: str = ""
    downs: int | None = None


@dataclass(frozen=True, slots=True)
class Fec:
    """Totals, and lanes where the driver has them (from 1)."""

    totals: Mapping[Quantity, int] = field(default_factory=dict[Quantity, int])
    lanes: Mapping[Quantity, Mapping[int, int]] = field(default_factory=dict[Quantity, Mapping[int, int]])
    bins: tuple[FecBin, ...] = ()


class CardStats:
    """Asks over one socket; blocks."""

    def __init__(self, client: GenericNetlink) -> None:
        self._client = client

    def link(self, netdev: str) -> CardLink:
        """Extended state and down count; an empty one where the driver has neither. Raises a DriverError."""
        answer = self._ask(_link_state(), ETHTOOL_MSG_LINKSTATE_GET, "ETHTOOL_A_LINKSTATE_HEADER", netdev)
        if answer is None or answer.message is None:
            return CardLink()
        message = answer.message
        state = message.get_attr("ETHTOOL_A_LINKSTATE_EXT_STATE")
        why = ""
        if isinstance(state, int):
            why = _pick(EXT_STATES, state)
            substate = message.get_attr("ETHTOOL_A_LINKSTATE_EXT_SUBSTATE")
            if isinstance(substate, int):
                why += f": {_pick(EXT_SUBSTATES.get(state, ()), substate - 1)}"
        downs = message.get_attr("ETHTOOL_A_LINKSTATE_EXT_DOWN_CNT")
        return CardLink(why, downs if isinstance(downs, int) else None)

    def fec(self, netdev: str) -> Fec:
        """Statistics of error correction; an empty one where the driver has none. Raises a DriverError."""
        answer = self._ask(_fec(), ETHTOOL_MSG_FEC_GET, "ETHTOOL_A_FEC_HEADER", netdev)
        if answer is None or answer.message is None:
            return Fec()
        stats = answer.message.get_attr("ETHTOOL_A_FEC_STATS")
        if not hasattr(stats, "get_attr"):  # absent, or bytes that make no sense
            return Fec()
        totals: dict[Quantity, int] = {}
        lanes: dict[Quantity, dict[int, int]] = {}
        for name, quantity in FEC_STATS.items():
            numbers = _u64s(stats.get_attr(name))
            if numbers:
                totals[quantity] = numbers[0]
            if len(numbers) > 1:
                lanes[quantity] = dict(enumerate(numbers[1:], 1))
        return Fec(totals, lanes, tuple(_bins(stats)))

    def close(self) -> None:
        self._client.close()

    def _ask(self, kind: CodecClass, command: int, header: str, netdev: str) -> Answer | None:
        """None when this kernel or driver cannot answer; statistics are left out where the kernel refuses them."""
        for flags in (ETHTOOL_FLAG_STATS, 0):
            names = [("ETHTOOL_A_HEADER_DEV_NAME", netdev), ("ETHTOOL_A_HEADER_FLAGS", flags)]
            try:
                return self._client.request(kind, command, [(header, {"attrs": names})])
            except Refused:
                continue
            except DecodeError as exc:
                raise DriverError(f"{netdev}: {exc}") from exc
        return None


def _pick(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"code {number}"


def _u64s(raw: object) -> tuple[int, ...]:
    data = _raw(raw)
    return struct.unpack(f"={len(data) // 8}Q", data[: len(data) // 8 * 8])


def _raw(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _bins(stats: Codec) -> list[FecBin]:
    bins: list[FecBin] = []
    for each in stats.get_attrs("ETHTOOL_A_FEC_STAT_HIST"):
        if not hasattr(each, "get_attr"):
            continue
        low = each.get_attr("ETHTOOL_A_FEC_HIST_BIN_LOW")
        high = each.get_attr("ETHTOOL_A_FEC_HIST_BIN_HIGH")
        count = _raw(each.get_attr("ETHTOOL_A_FEC_HIST_BIN_VAL"))
        if isinstance(low, int) and isinstance(high, int) and len(count) in {4, 8}:
            bins.append(FecBin(low, high, struct.unpack("=I" if len(count) == 4 else "=Q", count)[0]))
    return bins


@cache
def _link_state() -> CodecClass:
    """pyroute2 has this message without its later attributes."""
    return declare(
        "ethtool_linkstate_ext_msg",
        (
            ("ETHTOOL_A_LINKSTATE_UNSPEC", "none"),
            ("ETHTOOL_A_LINKSTATE_HEADER", "ethtoolheader"),
            ("ETHTOOL_A_LINKSTATE_LINK", "uint8"),
            ("ETHTOOL_A_LINKSTATE_SQI", "uint32"),
            ("ETHTOOL_A_LINKSTATE_SQI_MAX", "uint32"),
            ("ETHTOOL_A_LINKSTATE_EXT_STATE", "uint8"),
            ("ETHTOOL_A_LINKSTATE_EXT_SUBSTATE", "uint8"),
            ("ETHTOOL_A_LINKSTATE_EXT_DOWN_CNT", "uint32"),
        ),
    )


@cache
def _fec() -> CodecClass:
    """pyroute2 does not have this one."""
    histogram = declare_nested(
        "fec_histogram",
        (
            ("ETHTOOL_A_FEC_HIST_UNSPEC", "none"),
            ("ETHTOOL_A_FEC_HIST_PAD", "none"),
            ("ETHTOOL_A_FEC_HIST_BIN_LOW", "uint32"),
            ("ETHTOOL_A_FEC_HIST_BIN_HIGH", "uint32"),
            ("ETHTOOL_A_FEC_HIST_BIN_VAL", "cdata"),
            ("ETHTOOL_A_FEC_HIST_BIN_VAL_PER_LANE", "cdata"),
        ),
    )
    stats = declare_nested(
        "fec_stats",
        (
            ("ETHTOOL_A_FEC_STAT_UNSPEC", "none"),
            ("ETHTOOL_A_FEC_STAT_PAD", "none"),
            ("ETHTOOL_A_FEC_STAT_CORRECTED", "cdata"),
            ("ETHTOOL_A_FEC_STAT_UNCORR", "cdata"),
            ("ETHTOOL_A_FEC_STAT_CORR_BITS", "cdata"),
            ("ETHTOOL_A_FEC_STAT_HIST", "fec_histogram"),
        ),
        fec_histogram=histogram,
    )
    return declare(
        "ethtool_fec_msg",
        (
            ("ETHTOOL_A_FEC_UNSPEC", "none"),
            ("ETHTOOL_A_FEC_HEADER", "ethtoolheader"),
            ("ETHTOOL_A_FEC_MODES", "none"),
            ("ETHTOOL_A_FEC_AUTO", "uint8"),
            ("ETHTOOL_A_FEC_ACTIVE", "uint32"),
            ("ETHTOOL_A_FEC_STATS", "fec_stats"),
        ),
        fec_stats=stats,
    )
