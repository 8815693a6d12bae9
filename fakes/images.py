"""Memory images of made-up modules, laid out from the specifications' tables (not from `agent.maps`).

    memory = image(PRODUCTS["qsfpdd-400g-dr4"], serial="LW2400017", date="260301")

Documents: SFF-8472 Rev 12.4 tables 4-1, 9-5, 9-11; SFF-8636 Rev 2.11 tables 6-1 to 6-34; CMIS 5.2 chapter 8;
SFF-8024 Rev 4.13. What moves is written by `fakes.monitors`.

Not simulated: user EEPROM, external calibration, CDB, pages 13h and 14h.
"""

import math
from typing import Final

from agent.memory import I2C_DIAGNOSTICS, Memory, Span
from fakes.products import Application, Bounds, Optics, Product

POWER_LSB_W: Final = 1e-7
BIAS_LSB_A: Final = 2e-6
VOLT_LSB: Final = 1e-4


_CABLES: Final = frozenset({3, 4})
"""Media types of CMIS: passive copper, active cable."""


class Page:
    """128 bytes (256 for an EEPROM of an SFP) that begin at `base`, written by their offsets in the tables."""

    def __init__(self, base: int = 128, size: int = 128) -> None:
        self.base = base
        self.data = bytearray(size)

    def put(self, offset: int, *values: int) -> None:
        """Bytes one after the other."""
        self.data[offset - self.base : offset - self.base + len(values)] = bytes(values)

    def words(self, offset: int, *values: int) -> None:
        """Big-endian 16-bit words, signed ones as two's complement."""
        for index, value in enumerate(values):
            self.put(offset + 2 * index, value >> 8 & 0xFF, value & 0xFF)

    def text(self, offset: int, length: int, value: str) -> None:
        """Left aligned, padded with spaces."""
        self.put(offset, *value.encode("ascii").ljust(length)[:length])

    def sum(self, at: int, first: int, last: int) -> None:
        """A checksum: the low byte of the sum of the bytes `first` to `last`."""
        self.put(at, sum(self.data[first - self.base : last - self.base + 1]) & 0xFF)


def watts(dbm: float) -> float:
    """Optical power in watts; 0 for minus infinity."""
    return 0.0 if dbm == -math.inf else 10 ** (dbm / 10) / 1000


def word(value: float, lsb: float) -> int:
    """A monitor as its register holds it: rounded, and stopped at the ends of 16 bits."""
    return min(max(round(value / lsb), 0), 0xFFFF)


def celsius(value: float) -> int:
    """A temperature as its register holds it, in 1/256 degC, two's complement."""
    return min(max(round(value * 256), -0x8000), 0x7FFF) & 0xFFFF


def bias_lsb(product: Product) -> float:
    """Amperes of one step of the bias monitor (CMIS scales it, SFF does not)."""
    return BIAS_LSB_A * (1 << product.bias_scale)


def tx_power_bounds(optics: Optics) -> Bounds:
    """Thresholds of launched power, watts."""
    return _around_dbm(optics.tx_dbm, 4.0, 5.0)


def rx_power_bounds(optics: Optics) -> Bounds:
    """Thresholds of received power, watts: down to the sensitivity."""
    return Bounds(
        high_alarm=watts(optics.rx_dbm + 6.5),
        low_alarm=watts(optics.sensitivity_dbm + 1),
        high_warning=watts(optics.rx_dbm + 5.5),
        low_warning=watts(optics.sensitivity_dbm + 2.5),
    )


def bias_bounds(optics: Optics) -> Bounds:
    """Thresholds of bias, amperes: up to what the driver can give."""
    low, high = optics.bias_ma / 1000, optics.bias_limit_ma / 1000
    return Bounds(high_alarm=high * 0.95, low_alarm=low * 0.25, high_warning=high * 0.85, low_warning=low * 0.35)


def image(product: Product, *, serial: str, date: str = "260301") -> Memory:
    """Everything that the module holds on its first day; monitors are 0 until somebody writes them."""
    match product.family:
        case "sff8472":
            return _sff8472(product, serial, date)
        case "sff8636":
            return _sff8636(product, serial, date)
        case "cmis":
            return _cmis(product, serial, date)


def _around_dbm(dbm: float, warning: float, alarm: float) -> Bounds:
    return Bounds(
        high_alarm=watts(dbm + alarm),
        low_alarm=watts(dbm - alarm),
        high_warning=watts(dbm + warning),
        low_warning=watts(dbm - warning),
    )


def _four(bounds: Bounds, lsb: float) -> tuple[int, ...]:
    """In the order of all three specifications: high alarm, low alarm, high warning, low warning."""
    return tuple(
        word(value, lsb) for value in (bounds.high_alarm, bounds.low_alarm, bounds.high_warning, bounds.low_warning)
    )


def _four_celsius(bounds: Bounds) -> tuple[int, ...]:
    return tuple(
        celsius(value) for value in (bounds.high_alarm, bounds.low_alarm, bounds.high_warning, bounds.low_warning)
    )


def _oui(product: Product) -> bytes:
    return bytes.fromhex(product.oui.replace("-", ""))


def _sff8472(product: Product, serial: str, date: str) -> Memory:
    copper = product.optics is None
    a0 = Page(0, 256)
    a0.put(0, product.identifier, 0x04, product.connector)
    a0.put(3, 0x00 if copper else 0x20)  # 10GBASE-LR
    a0.put(8, 0x04 if copper else 0x00)  # passive cable
    a0.put(11, 0x00 if copper else 0x06, 103)  # 64B/66B, 10.3 GBd
    if copper:
        a0.put(18, 3)
        a0.put(60, 0x01)
    else:
        a0.put(14, 10, 100)
        a0.words(60, round(product.optics.wavelength_nm) if product.optics else 0)
    a0.text(20, 16, product.vendor)
    a0.put(37, *_oui(product))
    a0.text(40, 16, product.part_number)
    a0.text(56, 4, product.part_revision)
    a0.sum(63, 0, 62)
    a0.put(65, 0x00 if copper else 0x1A)  # TX_DISABLE, TX_FAULT and RX_LOS pins
    a0.text(68, 16, serial)
    a0.text(84, 8, date)
    if not copper:
        a0.put(92, 0x68, 0xF0, product.revision)  # DDM, internal, average power; flags, soft status
    a0.sum(95, 64, 94)
    memory = Memory()
    memory.put(Span(0, 256), bytes(a0.data))
    if product.optics is not None:
        a2 = Page(0, 256)
        a2.words(0, *_four_celsius(product.temperature))
        a2.words(8, *_four(product.voltage, VOLT_LSB))
        a2.words(16, *_four(bias_bounds(product.optics), BIAS_LSB_A))
        a2.words(24, *_four(tx_power_bounds(product.optics), POWER_LSB_W))
        a2.words(32, *_four(rx_power_bounds(product.optics), POWER_LSB_W))
        a2.put(68, 0x3F, 0x80, 0, 0)  # Rx_PWR(1) = 1.0
        for slope in (76, 80, 84, 88):
            a2.words(slope, 0x0100)
        a2.sum(95, 0, 94)
        memory.put(Span(0, 256, i2c=I2C_DIAGNOSTICS), bytes(a2.data))
    return memory


def _sff8636(product: Product, serial: str, date: str) -> Memory:
    lower = Page(0)
    lower.put(0, product.identifier, product.revision, 0x02)  # paged, interrupt not asserted, data ready
    page = Page()
    page.put(128, product.identifier, 0xCC, product.connector, 0x80)  # class 4, CDRs; extended compliance
    page.put(139, 0x03, 255)  # 64B/66B; rate in byte 222
    page.put(142, 2)
    page.put(147, product.technology << 4)
    page.text(148, 16, product.vendor)
    page.put(165, *_oui(product))
    page.text(168, 16, product.part_number)
    page.text(184, 2, product.part_revision)
    if product.optics is not None:
        page.words(186, round(product.optics.wavelength_nm * 20), round(6.5 * 200))
    page.put(190, 70)
    page.sum(191, 128, 190)
    page.put(192, 0x06, 0x00, 0xF0, 0x1E)  # 100G CWDM4; CDR control and LOL; tx disable, fault, squelch, LOS
    page.text(196, 16, serial)
    page.text(212, 8, date)
    page.put(220, 0x3C, 0x10, 103)  # temperature, voltage, average rx power, tx power; 25.78 GBd
    page.sum(223, 192, 222)
    memory = Memory()
    memory.put(Span(0, 128), bytes(lower.data))
    memory.put(Span(128, 128), bytes(page.data))
    if product.optics is not None:
        limits = Page()
        limits.words(128, *_four_celsius(product.temperature))
        limits.words(144, *_four(product.voltage, VOLT_LSB))
        limits.words(176, *_four(rx_power_bounds(product.optics), POWER_LSB_W))
        limits.words(184, *_four(bias_bounds(product.optics), BIAS_LSB_A))
        limits.words(192, *_four(tx_power_bounds(product.optics), POWER_LSB_W))
        memory.put(Span(128, 128, page=0x03), bytes(limits.data))
    return memory


def _cmis(product: Product, serial: str, date: str) -> Memory:
    memory = Memory()
    lower = Page(0)
    lower.put(0, product.identifier, product.revision, 0x80 if product.flat else 0x00, 0x07)
    if not product.flat:
        lower.put(39, 2, 17)
    if product.light == "source":
        lower.put(57, 1)  # a resource module
    if product.identifier == 0x80:
        lower.put(70, product.banks)
    lower.put(85, product.media_type)
    for index in range(8):
        lower.put(86 + 4 * index, 0xFF, 0, 0, 0)
    for index, application in enumerate(product.applications[:8]):
        lower.put(86 + 4 * index, *_descriptor(application))
    memory.put(Span(0, 128), bytes(lower.data))
    memory.put(Span(128, 128), bytes(_cmis_identity(product, serial, date).data))
    if product.flat:
        return memory
    memory.put(Span(128, 128, page=0x01), bytes(_cmis_advertising(product, product.optics).data))
    memory.put(Span(128, 128, page=0x02), bytes(_cmis_thresholds(product, product.optics).data))
    if product.light == "source":
        return memory
    for block in range(_blocks(product)):
        memory.put(Span(128, 128, page=0x1C, bank=block), bytes(_cmis_applications(product, block).data))
    for bank in range(product.banks if _blocks(product) else 0):
        memory.put(Span(128, 128, page=0x19, bank=bank), bytes(128))
    for bank in range(product.banks):
        memory.put(Span(128, 128, page=0x10, bank=bank), bytes(_cmis_control(product, bank).data))
        memory.put(Span(128, 128, page=0x11, bank=bank), bytes(_cmis_status(product, bank).data))
    return memory


def _blocks(product: Product) -> int:
    """Blocks of 15 normalized application descriptors (CMIS 5.3): one that needs no second one has none."""
    blocks = (len(product.applications) + 14) // 15
    return blocks if blocks > 1 else 0


def _cmis_applications(product: Product, block: int) -> Page:
    """CMIS 5.3 tables 8-163 and 8-164; block 0 repeats the basic descriptors."""
    page = Page()
    for index in range(15):
        page.put(128 + 8 * index, 0xFF)
    for index, application in enumerate(product.applications[15 * block : 15 * block + 15]):
        page.put(128 + 8 * index, *_descriptor(application), application.media_starts)
    return page


def _descriptor(application: Application) -> tuple[int, int, int, int]:
    lanes = application.host_lanes << 4 | application.media_lanes
    return application.host, application.media, lanes, application.host_starts


def _cmis_identity(product: Product, serial: str, date: str) -> Page:
    page = Page()
    page.put(128, product.identifier)
    page.text(129, 16, product.vendor)
    page.put(145, *_oui(product))
    page.text(148, 16, product.part_number)
    page.text(164, 2, product.part_revision)
    page.text(166, 16, serial)
    page.text(182, 8, date)
    page.text(190, 10, "")
    page.put(200, _power_class(product.power_w) << 5, min(round(product.power_w / 0.25), 255))
    page.put(203, product.connector)
    if product.media_type in _CABLES:
        page.put(202, 0x40 | product.cable_m)
    if product.flat:
        page.put(204, 4, 6, 9, 14)
    lanes = min(product.optics.lanes if product.optics else product.host_lanes, 8)
    page.put(210, 0xFF & ~((1 << lanes) - 1))
    page.put(212, product.technology)
    page.sum(222, 128, 221)
    return page


def _power_class(power_w: float) -> int:
    """CMIS 5.2 table 8-36 for QSFP-DD: 1.5, 3.5, 7, 8, 10, 12, 14 W, and more."""
    return next((index for index, limit in enumerate((1.5, 3.5, 7, 8, 10, 12, 14)) if power_w <= limit), 7)


def _cmis_advertising(product: Product, optics: Optics | None) -> Page:
    page = Page()
    retimed, tunable = product.retimed and product.light != "source", product.coherent
    page.put(128, 2, 16, 1, 3)  # inactive firmware 2.16, hardware 1.3
    if optics is not None:
        page.put(132, 0x40 | 2)  # 2 km
        page.words(138, round(optics.wavelength_nm * 20), round(6.5 * 200))
    page.put(142, product.vdm << 6 | product.coherent << 4 | {1: 0, 2: 1, 4: 2}[product.banks])
    page.put(144, 0x77)
    page.put(145, 0x80 if optics and optics.cooled else 0x00)  # aux2, aux3: laser temperature
    page.put(146, 75, 0)
    page.put(150, 157, 0x10)  # 3.14 V; average rx power
    page.put(155, tunable << 7 | tunable << 6 | 0x02, 0x02)
    page.put(157, 0x06 if retimed else 0x02, 0x04 if retimed else 0x00)
    if optics is not None:
        page.put(157, 0x07 if retimed else 0x03, 0x06 if retimed else 0x02)
    page.put(159, 0x0B if optics else 0x03)  # temperature, voltage; aux2
    monitored = 0x07 if product.light == "own" else 0x06  # light from elsewhere: no bias
    page.put(160, product.bias_scale << 3 | monitored if optics and product.light != "source" else 0x00)
    page.put(161, 0x01 if retimed else 0x00, 0x01 if retimed else 0x00)
    page.put(167, 0x77, 0x77)
    page.put(175, _blocks(product))
    for index, application in enumerate(product.applications[:15]):
        page.put(176 + index, application.media_starts)
    for index in range(7):
        page.put(223 + 4 * index, 0xFF, 0, 0, 0)
    for index, application in enumerate(product.applications[8:15]):
        page.put(223 + 4 * index, *_descriptor(application))
    page.sum(255, 130, 254)
    return page


def _cmis_thresholds(product: Product, optics: Optics | None) -> Page:
    page = Page()
    page.words(128, *_four_celsius(product.temperature))
    page.words(136, *_four(product.voltage, VOLT_LSB))
    if optics is not None:
        laser = Bounds(high_alarm=80, low_alarm=0, high_warning=75, low_warning=5)
        page.words(152, *_four_celsius(laser))
    if optics is not None and product.light != "source":
        page.words(176, *_four(tx_power_bounds(optics), POWER_LSB_W))
        if product.light == "own":
            page.words(184, *_four(bias_bounds(optics), bias_lsb(product)))
        page.words(192, *_four(rx_power_bounds(optics), POWER_LSB_W))
    page.sum(255, 128, 254)
    return page


def _cmis_control(product: Product, bank: int) -> Page:
    page = Page()
    page.put(145, *_active(product, bank))
    return page


def _cmis_status(product: Product, bank: int) -> Page:
    page = Page()
    page.put(202, 0x11, 0x11, 0x11, 0x11)  # configuration accepted
    page.put(206, *_active(product, bank))
    return page


def _active(product: Product, bank: int) -> list[int]:
    """Application 1 on every lane it fits on: AppSel, first lane of its data path."""
    lanes = min(max(product.host_lanes - 8 * bank, 0), 8)
    size = product.applications[0].host_lanes if product.applications else 8
    return [0x10 | (lane // size * size) << 1 if lane < lanes else 0 for lane in range(8)]
