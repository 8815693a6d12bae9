"""Modules that a fake switch can be filled with: who they say they are, and how their optics behave.

Names and OUIs are made up. Optical figures are those of the class (IEEE 802.3, 100G Lambda MSA, OIF 400ZR), so that
readings look like those of real modules of that kind.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

Family = Literal["sff8472", "sff8636", "cmis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Thresholds, in the unit of what they bound."""

    high_alarm: float
    low_alarm: float
    high_warning: float
    low_warning: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """Lasers and receivers of one module, as they are on their first day at 45 degC."""

    lanes: int
    wavelength_nm: float
    tx_dbm: float
    rx_dbm: float
    bias_ma: float
    bias_limit_ma: float
    """Where the driver of the laser can give no more."""
    sensitivity_dbm: float
    """Below this there is loss of signal."""
    snr_db: float = 0.0
    """At the usual received power; 0: the module does not say."""
    cooled: bool = False
    ber: float = 1e-9
    """Bit error ratio before correction, at the usual SNR; it grows by `ber_decades_per_db`."""
    ber_decades_per_db: float = 1.2
    ber_limit: float = 2.4e-4
    """What the error correction can still repair (RS(544,514))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One CMIS application descriptor."""

    host: int
    media: int
    host_lanes: int
    media_lanes: int
    host_starts: int = 1
    media_starts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One kind of module. `identifier`, `connector` and `technology` are codes of SFF-8024 and of the map."""

    name: str
    family: Family
    identifier: int
    revision: int
    vendor: str
    oui: str
    part_number: str
    part_revision: str
    connector: int
    technology: int
    optics: Optics | None = None
    """None: copper."""
    power_w: float = 1.0
    self_heating_c: float = 12.0
    media_type: int = 0
    applications: tuple[Application, ...] = ()
    bias_scale: int = 0
    """CMIS page 01h byte 160 bits 4-3: lsb of 2, 4 or 8 uA."""
    retimed: bool = True
    """Has clock recovery on both sides; without it (linear optics) there is nothing to lose lock."""
    vdm: bool = False
    coherent: bool = False
    """Tunable, with the pages of C-CMIS."""
    light: Literal["own", "external", "source"] = "own"
    """Lasers of its own, those of an ELSFP, or it is an ELSFP."""
    active: bool = False
    """Copper with electronics: not flat, but without light."""
    host_lanes: int = 0
    cable_m: int = 2
    """How long it is, if it is a cable."""
    temperature: Bounds = field(
        default_factory=lambda: Bounds(high_alarm=75, low_alarm=-5, high_warning=70, low_warning=0)
    )
    voltage: Bounds = field(
        default_factory=lambda: Bounds(high_alarm=3.63, low_alarm=2.97, high_warning=3.465, low_warning=3.135)
    )

    @property
    def flat(self) -> bool:
        """One page and no monitors."""
        return self.optics is None and not self.active

    @property
    def banks(self) -> int:
        """CMIS banks of eight lanes: 1, 2 or 4."""
        need = (max(self.host_lanes, self.optics.lanes if self.optics else 0) + 7) // 8
        return 4 if need > 2 else max(need, 1)


_SFP_LR = Optics(
    lanes=1, wavelength_nm=1310, tx_dbm=-2.5, rx_dbm=-4.0, bias_ma=32, bias_limit_ma=75, sensitivity_dbm=-18
)
_CWDM4 = Optics(
    lanes=4, wavelength_nm=1301, tx_dbm=0.5, rx_dbm=-1.5, bias_ma=38, bias_limit_ma=75, sensitivity_dbm=-13
)
_DR4 = Optics(
    lanes=4,
    wavelength_nm=1310,
    tx_dbm=1.0,
    rx_dbm=-1.0,
    bias_ma=62,
    bias_limit_ma=110,
    sensitivity_dbm=-10,
    snr_db=21.0,
)
_FR4 = Optics(
    lanes=4,
    wavelength_nm=1301,
    tx_dbm=1.8,
    rx_dbm=-1.5,
    bias_ma=70,
    bias_limit_ma=120,
    sensitivity_dbm=-10,
    snr_db=20.5,
)
_LR4 = Optics(
    lanes=4,
    wavelength_nm=1301,
    tx_dbm=3.0,
    rx_dbm=-3.0,
    bias_ma=85,
    bias_limit_ma=130,
    sensitivity_dbm=-12,
    snr_db=20.0,
)
_DR8 = Optics(
    lanes=8,
    wavelength_nm=1310,
    tx_dbm=1.2,
    rx_dbm=-1.2,
    bias_ma=75,
    bias_limit_ma=130,
    sensitivity_dbm=-10,
    snr_db=20.8,
)
_DR16 = Optics(
    lanes=16,
    wavelength_nm=1310,
    tx_dbm=1.0,
    rx_dbm=-1.5,
    bias_ma=80,
    bias_limit_ma=130,
    sensitivity_dbm=-10,
    snr_db=20.4,
)

PRODUCTS: Final = {
    product.name: product
    for product in (
        Product(
            name="sfp-10g-lr",
            family="sff8472",
            identifier=0x03,
            revision=0x05,
            vendor="NORTHFIBER",
            oui="02-4E-46",
            part_number="NF-SFP10G-LR",
            part_revision="B2",
            connector=0x07,
            technology=0,
            optics=_SFP_LR,
            power_w=1.0,
            host_lanes=1,
        ),
        Product(
            name="sfp-10g-dac",
            family="sff8472",
            identifier=0x03,
            revision=0x00,
            vendor="CUPRA CABLES",
            oui="02-43-55",
            part_number="CC-SFP10-3M",
            part_revision="A",
            connector=0x21,
            technology=0,
            host_lanes=1,
        ),
        Product(
            name="qsfp28-100g-cwdm4",
            family="sff8636",
            identifier=0x11,
            revision=0x08,
            vendor="HELIOTRON",
            oui="02-48-45",
            part_number="HT-Q28-CWDM4",
            part_revision="1A",
            connector=0x07,
            technology=0x4,
            optics=_CWDM4,
            power_w=3.5,
            self_heating_c=15,
            host_lanes=4,
        ),
        Product(
            name="qsfpdd-400g-dr4",
            family="cmis",
            identifier=0x18,
            revision=0x40,
            vendor="LUMENWORKS",
            oui="02-4C-57",
            part_number="LW-QDD-400-DR4",
            part_revision="02",
            connector=0x0C,
            technology=0x06,
            optics=_DR4,
            power_w=9.0,
            self_heating_c=20,
            media_type=2,
            applications=(
                Application(host=0x11, media=0x1C, host_lanes=8, media_lanes=4),
                Application(
                    host=0x0D, media=0x14, host_lanes=2, media_lanes=1, host_starts=0x55, media_starts=0x0F
                ),
            ),
            bias_scale=1,
            host_lanes=8,
        ),
        Product(
            name="qsfpdd-400g-fr4",
            family="cmis",
            identifier=0x18,
            revision=0x50,
            vendor="HELIOTRON",
            oui="02-48-45",
            part_number="HT-QDD-400-FR4",
            part_revision="1C",
            connector=0x07,
            technology=0x06,
            optics=_FR4,
            power_w=10.0,
            self_heating_c=21,
            media_type=2,
            applications=(Application(host=0x11, media=0x1D, host_lanes=8, media_lanes=4),),
            bias_scale=1,
            vdm=True,
            host_lanes=8,
        ),
        Product(
            name="qsfpdd-400g-lr4",
            family="cmis",
            identifier=0x18,
            revision=0x50,
            vendor="NORTHFIBER",
            oui="02-4E-46",
            part_number="NF-QDD-400-LR4",
            part_revision="C0",
            connector=0x07,
            technology=0x06,
            optics=_LR4,
            power_w=12.0,
            self_heating_c=23,
            media_type=2,
            applications=(Application(host=0x11, media=0x1E, host_lanes=8, media_lanes=4),),
            bias_scale=1,
            vdm=True,
            host_lanes=8,
        ),
        Product(
            name="osfp-2x400g-dr4",
            family="cmis",
            identifier=0x19,
            revision=0x52,
            vendor="LUMENWORKS",
            oui="02-4C-57",
            part_number="LW-OSFP-2DR4",
            part_revision="01",
            connector=0x0C,
            technology=0x06,
            optics=_DR8,
            power_w=16.0,
            self_heating_c=26,
            media_type=2,
            applications=(
                Application(
                    host=0x4F, media=0x1C, host_lanes=4, media_lanes=4, host_starts=0x11, media_starts=0x11
                ),
                Application(host=0x51, media=0x56, host_lanes=8, media_lanes=8),
            ),
            bias_scale=2,
            vdm=True,
            host_lanes=8,
        ),
        Product(
            name="osfp-xd-1600g-dr16",
            family="cmis",
            identifier=0x21,
            revision=0x52,
            vendor="LUMENWORKS",
            oui="02-4C-57",
            part_number="LW-XD-1600-DR16",
            part_revision="X1",
            connector=0x28,
            technology=0x06,
            optics=_DR16,
            power_w=30.0,
            self_heating_c=30,
            media_type=2,
            applications=(Application(host=0x51, media=0x56, host_lanes=8, media_lanes=8),),
            bias_scale=2,
            vdm=True,
            host_lanes=16,
        ),
        Product(
            name="osfp-800g-dr8-lpo",
            family="cmis",
            identifier=0x19,
            revision=0x52,
            vendor="LINEA PHOTONIC",
            oui="02-4C-50",
            part_number="LP-OSFP-DR8L",
            part_revision="A1",
            connector=0x28,
            technology=0x06,
            optics=Optics(
                lanes=8,
                wavelength_nm=1310,
                tx_dbm=0.8,
                rx_dbm=-1.0,
                bias_ma=70,
                bias_limit_ma=120,
                sensitivity_dbm=-9,
            ),
            power_w=6.0,
            self_heating_c=14,
            media_type=2,
            applications=(Application(host=0x23, media=0x92, host_lanes=8, media_lanes=8),),
            bias_scale=2,
            retimed=False,
            host_lanes=8,
        ),
        Product(
            name="qsfpdd-400g-cr8",
            family="cmis",
            identifier=0x18,
            revision=0x50,
            vendor="CUPRA CABLES",
            oui="02-43-55",
            part_number="CC-QDD400-2M",
            part_revision="B",
            connector=0x23,
            technology=0x0A,
            power_w=0.1,
            media_type=3,
            applications=(Application(host=0x1D, media=0x01, host_lanes=8, media_lanes=8),),
            host_lanes=8,
        ),
        Product(
            name="qsfpdd-400g-zr",
            family="cmis",
            identifier=0x18,
            revision=0x50,
            vendor="ALTA COHERENT",
            oui="02-41-43",
            part_number="AC-QDD-400ZR",
            part_revision="D1",
            connector=0x07,
            technology=0x10,
            optics=Optics(
                lanes=1,
                wavelength_nm=1550.1,
                tx_dbm=-9.8,
                rx_dbm=-8.0,
                bias_ma=180,
                bias_limit_ma=260,
                sensitivity_dbm=-20,
                snr_db=17.5,
                cooled=True,
                ber=8e-4,
                ber_decades_per_db=0.25,
                ber_limit=1.25e-2,
            ),
            power_w=20.0,
            self_heating_c=28,
            media_type=2,
            applications=(Application(host=0x11, media=0x3E, host_lanes=8, media_lanes=1),),
            bias_scale=2,
            vdm=True,
            coherent=True,
            host_lanes=8,
        ),
        Product(
            name="osfp-800g-aec",
            family="cmis",
            identifier=0x19,
            revision=0x52,
            vendor="CUPRA CABLES",
            oui="02-43-55",
            part_number="CC-OSFP800-AEC3",
            part_revision="C",
            connector=0x23,
            technology=0x0C,
            power_w=11.0,
            self_heating_c=18,
            media_type=4,
            applications=(Application(host=0x51, media=0x03, host_lanes=8, media_lanes=8),),
            vdm=True,
            active=True,
            host_lanes=8,
        ),
        Product(
            name="qsfpdd-400g-aoc",
            family="cmis",
            identifier=0x18,
            revision=0x40,
            vendor="HELIOTRON",
            oui="02-48-45",
            part_number="HT-QDD-AOC-10M",
            part_revision="2B",
            connector=0x23,
            technology=0x00,
            optics=Optics(
                lanes=8,
                wavelength_nm=850,
                tx_dbm=0.5,
                rx_dbm=-0.5,
                bias_ma=7.5,
                bias_limit_ma=13,
                sensitivity_dbm=-9,
                snr_db=20.0,
            ),
            power_w=7.0,
            self_heating_c=17,
            media_type=4,
            applications=(Application(host=0x11, media=0x03, host_lanes=8, media_lanes=8),),
            host_lanes=8,
            cable_m=10,
        ),
        Product(
            name="cpo-3200g-dr32",
            family="cmis",
            identifier=0x80,
            revision=0x53,
            vendor="LUMENWORKS",
            oui="02-4C-57",
            part_number="LW-OE-32DR",
            part_revision="P3",
            connector=0x28,
            technology=0x08,
            optics=Optics(
                lanes=32,
                wavelength_nm=1310,
                tx_dbm=1.0,
                rx_dbm=-1.5,
                bias_ma=1,
                bias_limit_ma=9,
                sensitivity_dbm=-10,
                snr_db=20.2,
            ),
            power_w=45.0,
            self_heating_c=24,
            media_type=2,
            applications=(
                Application(
                    host=0x4F, media=0x1C, host_lanes=4, media_lanes=4, host_starts=0x11, media_starts=0x11
                ),
            ),
            vdm=True,
            light="external",
            host_lanes=32,
        ),
        Product(
            name="elsfp-8",
            family="cmis",
            identifier=0x22,
            revision=0x53,
            vendor="HELIOTRON",
            oui="02-48-45",
            part_number="HT-ELS-8x1310",
            part_revision="A4",
            connector=0x28,
            technology=0x04,
            optics=Optics(
                lanes=8,
                wavelength_nm=1310,
                tx_dbm=20.0,
                rx_dbm=0.0,
                bias_ma=260,
                bias_limit_ma=420,
                sensitivity_dbm=-40,
                cooled=True,
            ),
            power_w=12.0,
            self_heating_c=14,
            media_type=2,
            light="source",
        ),
    )
}
"""By name."""
