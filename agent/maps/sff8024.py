"""The code tables of SFF-8024 (Rev 4.13), shared by SFF-8472, SFF-8636, SFF-8436 and CMIS.

Labels are short descriptions. A code that only field software knows carries "(non-standard)"; a code that no
table has is named by `label`, never guessed.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Identifier(NamedTuple):
    """A form factor: `memory_map` is `sff8472`, `sff8636`, `cmis`, or "" for one that opticd cannot read.

    `lanes` is nominal (0: the specification names none); the module's own bytes decide.
    """

    name: str
    memory_map: str
    lanes: int = 0


class Interface(NamedTuple):
    """One host or media interface. `gigabits` is per interface, in Gb/s as the table prints it."""

    name: str
    gigabits: str = ""
    lanes: tuple[int, ...] = ()
    """Lane counts it comes in; () where the table gives none."""
    modulation: str = ""


CMIS: Final = "cmis"
SFF8472: Final = "sff8472"
SFF8636: Final = "sff8636"

IDENTIFIERS: Final[Mapping[int, Identifier]] = {
    0x00: Identifier("Unknown or unspecified", ""),
    0x01: Identifier("GBIC", SFF8472, 1),
    0x02: Identifier("Module soldered to motherboard", SFF8472, 1),
    0x03: Identifier("SFP", SFF8472, 1),
    0x04: Identifier("300 pin XBI", ""),
    0x05: Identifier("XENPAK", ""),
    0x06: Identifier("XFP", "", 1),
    0x07: Identifier("XFF", ""),
    0x08: Identifier("XFP-E", "", 1),
    0x09: Identifier("XPAK", ""),
    0x0A: Identifier("X2", ""),
    0x0B: Identifier("DWDM-SFP", SFF8472, 1),
    0x0C: Identifier("QSFP", SFF8636, 4),
    0x0D: Identifier("QSFP+", SFF8636, 4),
    0x0E: Identifier("CXP", "", 12),
    0x0F: Identifier("Shielded Mini Multilane HD 4X", "", 4),
    0x10: Identifier("Shielded Mini Multilane HD 8X", "", 8),
    0x11: Identifier("QSFP28", SFF8636, 4),
    0x12: Identifier("CXP2/CXP28", "", 12),
    0x13: Identifier("CDFP Style 1/Style 2", "", 16),
    0x14: Identifier("Shielded Mini Multilane HD 4X Fanout Cable", "", 4),
    0x15: Identifier("Shielded Mini Multilane HD 8X Fanout Cable", "", 8),
    0x16: Identifier("CDFP Style 3", "", 16),
    0x17: Identifier("microQSFP", SFF8636, 4),
    0x18: Identifier("QSFP-DD Double Density 8X Pluggable Transceiver (INF-8628)", CMIS, 8),
    0x19: Identifier("OSFP 8X Pluggable Transceiver", CMIS, 8),
    0x1A: Identifier("SFP-DD Double Density 2X Pluggable Transceiver", "", 2),
    0x1B: Identifier("DSFP Dual Small Form Factor Pluggable Transceiver", CMIS, 2),
    0x1C: Identifier("x4 MiniLink/OcuLink", "", 4),
    0x1D: Identifier("x8 MiniLink", "", 8),
    0x1E: Identifier("QSFP+ or later with Common Management Interface Specification (CMIS)", CMIS, 4),
    0x1F: Identifier("SFP-DD with Common Management Interface Specification (CMIS)", CMIS, 2),
    0x20: Identifier("SFP+ and later with Common Management Interface Specification (CMIS)", CMIS, 1),
    0x21: Identifier("OSFP-XD with Common Management Interface Specification (CMIS)", CMIS, 16),
    0x22: Identifier("OIF-ELSFP with Common Management Interface Specification (CMIS)", CMIS),
    0x23: Identifier("CDFP (x4 PCIe) SFF-TA-1032 with Common Management Interface Specification (CMIS)", CMIS, 4),
    0x24: Identifier("CDFP (x8 PCIe) SFF-TA-1032 with Common Management Interface Specification (CMIS)", CMIS, 8),
    0x25: Identifier("CDFP (x16 PCIe) SFF-TA-1032 with Common Management Interface Specification (CMIS)", CMIS, 16),
    0x26: Identifier("XPO (non-standard)", CMIS),
    0x7E: Identifier("Backplane cartridge (non-standard)", ""),
    0x80: Identifier("CPO (non-standard)", CMIS),
    0x91: Identifier("On-board optics (non-standard)", SFF8636, 4),
}  # fmt: skip
"""Lower byte 0, and page 00h byte 128. 0x0B has a map of its own, but many such modules hold SFF-8472: that map
checks its checksum before it believes them."""

CONNECTORS: Final[Mapping[int, str]] = {
    0x00: "Unknown or unspecified",
    0x01: "SC",
    0x02: "Fibre Channel Style 1 copper connector",
    0x03: "Fibre Channel Style 2 copper connector",
    0x04: "BNC/TNC",
    0x05: "Fibre Channel coax headers",
    0x06: "Fiberjack",
    0x07: "LC",
    0x08: "MT-RJ",
    0x09: "MU",
    0x0A: "SG",
    0x0B: "Optical pigtail",
    0x0C: "MPO 1x12",
    0x0D: "MPO 2x16",
    0x20: "HSSDC II",
    0x21: "Copper pigtail",
    0x22: "RJ45",
    0x23: "No separable connector",
    0x24: "MXC 2x16",
    0x25: "CS optical connector",
    0x26: "SN optical connector",
    0x27: "MPO 2x12",
    0x28: "MPO 1x16",
    0x6F: "No separable connector (non-standard)",
}  # fmt: skip
"""SFF-8472 A0h byte 2, SFF-8636 page 00h byte 130, CMIS page 00h byte 203."""

ENCODINGS_SFF8472: Final[Mapping[int, str]] = {
    0x00: "Unspecified",
    0x01: "8B/10B",
    0x02: "4B/5B",
    0x03: "NRZ",
    0x04: "Manchester",
    0x05: "SONET scrambled",
    0x06: "64B/66B",
    0x07: "256B/257B (FEC transcoded)",
    0x08: "PAM4",
}  # fmt: skip
"""SFF-8472 A0h byte 11 (codes 4 to 6 differ from SFF-8636)."""

ENCODINGS_SFF8636: Final[Mapping[int, str]] = {
    0x00: "Unspecified",
    0x01: "8B/10B",
    0x02: "4B/5B",
    0x03: "NRZ",
    0x04: "SONET scrambled",
    0x05: "64B/66B",
    0x06: "Manchester",
    0x07: "256B/257B",
    0x08: "PAM4",
}  # fmt: skip
"""SFF-8636 and SFF-8436, page 00h byte 139."""

EXTENDED_COMPLIANCE: Final[Mapping[int, str]] = {
    0x00: "Unspecified",
    0x01: "100G AOC or 25GAUI C2M AOC, BER <= 5e-5",
    0x02: "100GBASE-SR4 or 25GBASE-SR",
    0x03: "100GBASE-LR4 or 25GBASE-LR",
    0x04: "100GBASE-ER4 or 25GBASE-ER",
    0x05: "100GBASE-SR10",
    0x06: "100G CWDM4",
    0x07: "100G PSM4",
    0x08: "100G ACC or 25GAUI C2M ACC, BER <= 5e-5",
    0x09: "Obsolete (CWDM4 before FEC was mandatory)",
    0x0B: "100GBASE-CR4, 25GBASE-CR CA-25G-L, or 50GBASE-CR2 RS-FEC",
    0x0C: "25GBASE-CR CA-25G-S, or 50GBASE-CR2 BASE-R FEC",
    0x0D: "25GBASE-CR CA-25G-N, or 50GBASE-CR2 no FEC",
    0x0E: "10 Mb/s single-pair Ethernet",
    0x10: "40GBASE-ER4",
    0x11: "4 x 10GBASE-SR",
    0x12: "40G PSM4",
    0x13: "G.959.1 P1I1-2D1 (10.709 GBd, 2 km, 1310 nm)",
    0x14: "G.959.1 P1S1-2D2 (10.709 GBd, 40 km, 1550 nm)",
    0x15: "G.959.1 P1L1-2D2 (10.709 GBd, 80 km, 1550 nm)",
    0x16: "10GBASE-T with SFI host side",
    0x17: "100G CLR4",
    0x18: "100G AOC or 25GAUI C2M AOC, BER <= 1e-12",
    0x19: "100G ACC or 25GAUI C2M ACC, BER <= 1e-12",
    0x1A: "100GE-DWDM2 (2 wavelengths, up to 80 km)",
    0x1B: "100G 1550 nm WDM (4 wavelengths)",
    0x1C: "10GBASE-T short reach (30 m)",
    0x1D: "5GBASE-T",
    0x1E: "2.5GBASE-T",
    0x1F: "40G SWDM4",
    0x20: "100G SWDM4",
    0x21: "100G PAM4 BiDi",
    0x22: "4WDM-10 MSA",
    0x23: "4WDM-20 MSA",
    0x24: "4WDM-40 MSA",
    0x25: "100GBASE-DR, CAUI-4 host (no FEC)",
    0x26: "100G-FR / 100GBASE-FR1, CAUI-4 host (no FEC)",
    0x27: "100G-LR / 100GBASE-LR1, CAUI-4 host (no FEC)",
    0x28: "100GBASE-SR1, CAUI-4 host (no FEC)",
    0x29: "100GBASE-SR1, 200GBASE-SR2 or 400GBASE-SR4",
    0x2A: "100GBASE-FR1 or 400GBASE-DR4-2",
    0x2B: "100GBASE-LR1",
    0x2C: "100G-LR1-20 MSA, CAUI-4 host (no FEC)",
    0x2D: "100G-ER1-30 MSA, CAUI-4 host (no FEC)",
    0x2E: "100G-ER1-40 MSA, CAUI-4 host (no FEC)",
    0x2F: "100G-LR1-20 MSA",
    0x30: "Active copper, 50GAUI/100GAUI-2/200GAUI-4, BER <= 1e-6",
    0x31: "Active optical, 50GAUI/100GAUI-2/200GAUI-4, BER <= 1e-6",
    0x32: "Active copper, 50GAUI/100GAUI-2/200GAUI-4, BER <= 2.6e-4 (ACC) / 1e-5 (AUI)",
    0x33: "Active optical, 50GAUI/100GAUI-2/200GAUI-4, BER <= 2.6e-4 (AOC) / 1e-5 (AUI)",
    0x34: "100G-ER1-30 MSA",
    0x35: "100G-ER1-40 MSA",
    0x36: "100GBASE-VR1, 200GBASE-VR2 or 400GBASE-VR4",
    0x37: "10GBASE-BR",
    0x38: "25GBASE-BR",
    0x39: "50GBASE-BR",
    0x3A: "100GBASE-VR1, CAUI-4 host (no FEC)",
    0x3F: "100GBASE-CR1, 200GBASE-CR2 or 400GBASE-CR4",
    0x40: "50GBASE-CR, 100GBASE-CR2 or 200GBASE-CR4",
    0x41: "50GBASE-SR, 100GBASE-SR2 or 200GBASE-SR4",
    0x42: "50GBASE-FR or 200GBASE-DR4",
    0x43: "200GBASE-FR4",
    0x44: "200G 1550 nm PSM4",
    0x45: "50GBASE-LR",
    0x46: "200GBASE-LR4",
    0x47: "400GBASE-DR4 (400GAUI-4 host)",
    0x48: "400GBASE-FR4",
    0x49: "400GBASE-LR4-6",
    0x4A: "50GBASE-ER",
    0x4B: "400G-LR4-10",
    0x4C: "400GBASE-ZR (obsolete code)",
    0x50: "64GFC EA (withdrawn)",
    0x51: "64GFC SW (withdrawn)",
    0x52: "64GFC LW (withdrawn)",
    0x53: "128GFC EA (withdrawn)",
    0x54: "128GFC SW (withdrawn)",
    0x55: "128GFC LW (withdrawn)",
    0x7F: "256GFC-SW4",
    0x80: "64GFC (not for SFF-8472 modules)",
    0x81: "128GFC (not for SFF-8472 modules)",
}  # fmt: skip
"""SFF-8472 A0h byte 36, SFF-8636 page 00h byte 192; secondary codes in A2h byte 67 and lower byte 116."""

HOST_INTERFACES: Final[Mapping[int, Interface]] = {
    0x00: Interface("Undefined"),
    0x01: Interface("1000BASE-CX (Cl 39)", "1.25", (1,), "NRZ"),
    0x02: Interface("XAUI (Cl 47)", "12.50", (4,), "NRZ"),
    0x03: Interface("XFI (SFF INF-8071i)", "9.95-11.18", (1,), "NRZ"),
    0x04: Interface("SFI (SFF-8431)", "9.95-11.18", (1,), "NRZ"),
    0x05: Interface("25GAUI C2M (Annex 109B)", "25.78", (1,), "NRZ"),
    0x06: Interface("XLAUI C2M (Annex 83B)", "41.25", (4,), "NRZ"),
    0x07: Interface("XLPPI (Annex 86A)", "41.25", (4,), "NRZ"),
    0x08: Interface("LAUI-2 C2M (Annex 135C)", "51.56", (2,), "NRZ"),
    0x09: Interface("50GAUI-2 C2M (Annex 135E)", "53.13", (2,), "NRZ"),
    0x0A: Interface("50GAUI-1 C2M (Annex 135G)", "53.13", (1,), "PAM4"),
    0x0B: Interface("CAUI-4 C2M (Annex 83E) (superseded by 65/66)", "103.13", (4,), "NRZ"),
    0x0C: Interface("100GAUI-4 C2M (Annex 135E)", "106.25", (4,), "NRZ"),
    0x0D: Interface("100GAUI-2 C2M (Annex 135G)", "106.25", (2,), "PAM4"),
    0x0E: Interface("200GAUI-8 C2M (Annex 120C)", "212.50", (8,), "NRZ"),
    0x0F: Interface("200GAUI-4 C2M (Annex 120E)", "212.50", (4,), "PAM4"),
    0x10: Interface("400GAUI-16 C2M (Annex 120C)", "425.00", (16,), "NRZ"),
    0x11: Interface("400GAUI-8 C2M (Annex 120E)", "425.00", (8,), "PAM4"),
    0x13: Interface("10GBASE-CX4 (Cl 54)", "12.50", (4,), "NRZ"),
    0x14: Interface("25GBASE-CR CA-25G-L (Cl 110)", "25.78", (1,), "NRZ"),
    0x15: Interface("25GBASE-CR / CR-S CA-25G-S (Cl 110)", "25.78", (1,), "NRZ"),
    0x16: Interface("25GBASE-CR / CR-S CA-25G-N (Cl 110)", "25.78", (1,), "NRZ"),
    0x17: Interface("40GBASE-CR4 (Cl 85)", "41.25", (4,), "NRZ"),
    0x18: Interface("50GBASE-CR (Cl 136)", "53.13", (1,), "PAM4"),
    0x19: Interface("100GBASE-CR10 (Cl 85)", "103.13", (10,), "NRZ"),
    0x1A: Interface("100GBASE-CR4 (Cl 92)", "103.13", (4,), "NRZ"),
    0x1B: Interface("100GBASE-CR2 (Cl 136)", "106.25", (2,), "PAM4"),
    0x1C: Interface("200GBASE-CR4 (Cl 136)", "212.50", (4,), "PAM4"),
    0x1D: Interface("400G CR8 (ETC)", "425.00", (8,), "PAM4"),
    0x1E: Interface("200GBASE-CR1 (Cl 179)", "212.50", (1,), "PAM4"),
    0x1F: Interface("400GBASE-CR2 (Cl 179)", "425.00", (2,), "PAM4"),
    0x20: Interface("LEI-100G-PAM4-1 (LPO MSA)", "106.25", (1,), "PAM4"),
    0x21: Interface("LEI-200G-PAM4-2 (LPO MSA)", "212.50", (2,), "PAM4"),
    0x22: Interface("LEI-400G-PAM4-4 (LPO MSA)", "425.00", (4,), "PAM4"),
    0x23: Interface("LEI-800G-PAM4-8 (LPO MSA)", "850.00", (8,), "PAM4"),
    0x24: Interface("50GBASE-T placeholder (non-standard)"),
    0x25: Interface("8GFC (FC-PI-4)", "8.50", (1,), "NRZ"),
    0x26: Interface("10GFC (10GFC)", "10.52", (1,), "NRZ"),
    0x27: Interface("16GFC (FC-PI-5)", "14.03", (1,), "NRZ"),
    0x28: Interface("32GFC (FC-PI-6)", "28.05", (1,), "NRZ"),
    0x29: Interface("64GFC (FC-PI-7)", "57.80", (1,), "PAM4"),
    0x2A: Interface("128GFC (FC-PI-6P)", "112.20", (4,), "NRZ"),
    0x2B: Interface("256GFC (FC-PI-7P)", "231.20", (4,), "PAM4"),
    0x2C: Interface("IB SDR", "2.5-30", (1, 2, 4, 8, 12), "NRZ"),
    0x2D: Interface("IB DDR", "5-60", (1, 2, 4, 8, 12), "NRZ"),
    0x2E: Interface("IB QDR", "10-120", (1, 2, 4, 8, 12), "NRZ"),
    0x2F: Interface("IB FDR", "14.06-168.75", (1, 2, 4, 8, 12), "NRZ"),
    0x30: Interface("IB EDR", "25.78-309.38", (1, 2, 4, 8, 12), "NRZ"),
    0x31: Interface("IB HDR", "53.13-637.5", (1, 2, 4, 8, 12), "PAM4"),
    0x32: Interface("IB NDR", "106.25-1275", (1, 2, 4, 8, 12), "PAM4"),
    0x33: Interface("CPRI E.96", "9.83", (1,), "NRZ"),
    0x34: Interface("CPRI E.99", "10.14", (1,), "NRZ"),
    0x35: Interface("CPRI E.119", "12.17", (1,), "NRZ"),
    0x36: Interface("CPRI E.238", "24.33", (1,), "NRZ"),
    0x37: Interface("OTL3.4 (G.709)", "43", (4,), "NRZ"),
    0x38: Interface("OTL4.10 (G.709)", "112", (10,), "NRZ"),
    0x39: Interface("OTL4.4 (G.709)", "112", (4,), "NRZ"),
    0x3A: Interface("OTLC.4 (G.709.1)", "112", (4,), "NRZ"),
    0x3B: Interface("FOIC1.4-MFI (G.709.5)", "112", (4,), "NRZ"),
    0x3C: Interface("FOIC1.2-MFI (G.709.5)", "112", (2,), "PAM4"),
    0x3D: Interface("FOIC2.8-MFI (G.709.5)", "224", (8,), "NRZ"),
    0x3E: Interface("FOIC2.4-MFI (G.709.5)", "224", (4,), "PAM4"),
    0x3F: Interface("FOIC4.16-MFI (G.709.5)", "447", (16,), "NRZ"),
    0x40: Interface("FOIC4.8-MFI (G.709.5)", "447", (8,), "PAM4"),
    0x41: Interface("CAUI-4 C2M, no FEC (Annex 83E)", "103.13", (4,), "NRZ"),
    0x42: Interface("CAUI-4 C2M, RS(528,514) FEC (Annex 83E)", "103.13", (4,), "NRZ"),
    0x43: Interface("50GBASE-CR2 (ETC), RS(528,514) FEC", "51.56", (2,), "NRZ"),
    0x44: Interface("50GBASE-CR2 (ETC), BASE-R Fire code FEC", "51.56", (2,), "NRZ"),
    0x45: Interface("50GBASE-CR2 (ETC), no FEC", "51.56", (2,), "NRZ"),
    0x46: Interface("100GBASE-CR1 (Cl 162)", "106.25", (1,), "PAM4"),
    0x47: Interface("200GBASE-CR2 (Cl 162)", "212.50", (2,), "PAM4"),
    0x48: Interface("400GBASE-CR4 (Cl 162)", "425.00", (4,), "PAM4"),
    0x49: Interface("800G-ETC-CR8 / 800GBASE-CR8", "850.00", (8,), "PAM4"),
    0x4A: Interface("128GFC (FC-PI-8)", "112.20", (1,), "PAM4"),
    0x4B: Interface("100GAUI-1-S C2M (Annex 120G)", "106.25", (1,), "PAM4"),
    0x4C: Interface("100GAUI-1-L C2M (Annex 120G)", "106.25", (1,), "PAM4"),
    0x4D: Interface("200GAUI-2-S C2M (Annex 120G)", "212.50", (2,), "PAM4"),
    0x4E: Interface("200GAUI-2-L C2M (Annex 120G)", "212.50", (2,), "PAM4"),
    0x4F: Interface("400GAUI-4-S C2M (Annex 120G)", "425.00", (4,), "PAM4"),
    0x50: Interface("400GAUI-4-L C2M (Annex 120G)", "425.00", (4,), "PAM4"),
    0x51: Interface("800GAUI-8-S C2M (Annex 120G)", "850.00", (8,), "PAM4"),
    0x52: Interface("800GAUI-8-L C2M (Annex 120G)", "850.00", (8,), "PAM4"),
    0x53: Interface("OTL4.2", "112", (2,), "PAM4"),
    0x55: Interface("1.6TAUI-16-S C2M (Annex 120G)", "1700.00", (16,), "PAM4"),
    0x56: Interface("1.6TAUI-16-L C2M (Annex 120G)", "1700.00", (16,), "PAM4"),
    0x57: Interface("800GBASE-CR4 (Cl 179)", "850.00", (4,), "PAM4"),
    0x58: Interface("1.6TBASE-CR8 (Cl 179)", "1700.00", (8,), "PAM4"),
    0x70: Interface("PCIe 4.0", "2.46-252.06", (1, 2, 4, 8, 16), "NRZ"),
    0x71: Interface("PCIe 5.0", "2.46-504.12", (1, 2, 4, 8, 16), "NRZ"),
    0x72: Interface("PCIe 6.0", "2.46-1024", (1, 2, 4, 8, 16), "PAM4"),
    0x73: Interface("PCIe 7.0 (placeholder)", "2.46-2048", (1, 2, 4, 8, 16), "PAM4"),
    0x74: Interface("CEI-112G-LINEAR-PAM4", "72n to 112n", (), "PAM4"),
    0x80: Interface("200GAUI-1 (Annex 176E)", "212.50", (1,), "PAM4"),
    0x81: Interface("400GAUI-2 (Annex 176E)", "425.00", (2,), "PAM4"),
    0x82: Interface("800GAUI-4 (Annex 176E)", "850.00", (4,), "PAM4"),
    0x83: Interface("1.6TAUI-8 (Annex 176E)", "1700.00", (8,), "PAM4"),
    0x90: Interface("EEI-100G-RTLR-1-S", "106.25", (1,), "PAM4"),
    0x91: Interface("EEI-100G-RTLR-1-L", "106.25", (1,), "PAM4"),
    0x92: Interface("EEI-200G-RTLR-2-S", "212.5", (2,), "PAM4"),
    0x93: Interface("EEI-200G-RTLR-2-L", "212.5", (2,), "PAM4"),
    0x94: Interface("EEI-400G-RTLR-4-S", "425", (4,), "PAM4"),
    0x95: Interface("EEI-400G-RTLR-4-L", "425", (4,), "PAM4"),
    0x96: Interface("EEI-800G-RTLR-8-S", "850", (8,), "PAM4"),
    0x97: Interface("EEI-800G-RTLR-8-L", "850", (8,), "PAM4"),
    0xA0: Interface("IB XDR (placeholder)", "", (), "PAM4"),
    0xB0: Interface("FOIC1.1-MFI (G.709.5)", "112", (1,), "PAM4"),
    0xB1: Interface("FOIC4.4-MFI (G.709.5)", "447", (4,), "PAM4"),
    0xB2: Interface("FOIC8.8-MFI (G.709.5)", "894", (8,), "PAM4"),
    0xB7: Interface("PON, ITU-T G.9804.3", "50", (1,), "NRZ"),
}  # fmt: skip
"""Host electrical interfaces: byte 1 of a CMIS application descriptor. 0xFF ends the list."""

MMF_INTERFACES: Final[Mapping[int, Interface]] = {
    0x00: Interface("Undefined"),
    0x01: Interface("10GBASE-SW (Cl 52)", "9.95", (1,), "NRZ"),
    0x02: Interface("10GBASE-SR (Cl 52)", "10.31", (1,), "NRZ"),
    0x03: Interface("25GBASE-SR (Cl 112)", "25.78", (1,), "NRZ"),
    0x04: Interface("40GBASE-SR4 (Cl 86)", "41.25", (4,), "NRZ"),
    0x05: Interface("40GE SWDM4 MSA", "41.25", (4,), "NRZ"),
    0x06: Interface("40GE BiDi", "41.25", (2,), "NRZ"),
    0x07: Interface("50GBASE-SR (Cl 138)", "53.13", (1,), "PAM4"),
    0x08: Interface("100GBASE-SR10 (Cl 86)", "103.13", (10,), "NRZ"),
    0x09: Interface("100GBASE-SR4 (Cl 95)", "103.13", (4,), "NRZ"),
    0x0A: Interface("100GE SWDM4 MSA", "103.13", (4,), "NRZ"),
    0x0B: Interface("100GE BiDi", "106.25", (2,), "PAM4"),
    0x0C: Interface("100GBASE-SR2 (Cl 138)", "106.25", (2,), "PAM4"),
    0x0D: Interface("100GBASE-SR1 (Cl 167)", "106.25", (1,), "PAM4"),
    0x0E: Interface("200GBASE-SR4 (Cl 138)", "212.50", (4,), "PAM4"),
    0x0F: Interface("400GBASE-SR16 (Cl 123)", "425.00", (16,), "NRZ"),
    0x10: Interface("400GBASE-SR8 (Cl 138)", "425.00", (8,), "PAM4"),
    0x11: Interface("400GBASE-SR4 (Cl 167)", "425.00", (4,), "PAM4"),
    0x12: Interface("800GBASE-SR8 (Cl 167)", "850.00", (8,), "PAM4"),
    0x13: Interface("8GFC-MM (FC-PI-4)", "8.50", (1,), "NRZ"),
    0x14: Interface("10GFC-MM (10GFC)", "10.52", (1,), "NRZ"),
    0x15: Interface("16GFC-MM (FC-PI-5)", "14.03", (1,), "NRZ"),
    0x16: Interface("32GFC-MM (FC-PI-6)", "28.05", (1,), "NRZ"),
    0x17: Interface("64GFC-MM (FC-PI-7)", "57.80", (1,), "PAM4"),
    0x18: Interface("128GFC-MM4 (FC-PI-6P)", "112.20", (4,), "NRZ"),
    0x19: Interface("256GFC-MM4 (FC-PI-7P)", "231.20", (4,), "PAM4"),
    0x1A: Interface("400GBASE-SR4.2 (Cl 150)", "425.00", (8,), "PAM4"),
    0x1B: Interface("200GBASE-SR2 (Cl 167)", "212.50", (2,), "PAM4"),
    0x1C: Interface("128GFC-MM (FC-PI-8)", "112.20", (1,), "PAM4"),
    0x1D: Interface("100GBASE-VR1 (Cl 167)", "106.25", (1,), "PAM4"),
    0x1E: Interface("200GBASE-VR2 (Cl 167)", "212.50", (2,), "PAM4"),
    0x1F: Interface("400GBASE-VR4 (Cl 167)", "425.00", (4,), "PAM4"),
    0x20: Interface("800GBASE-VR8 (Cl 167)", "850.00", (8,), "PAM4"),
    0x21: Interface("800G-VR4.2", "850.00", (8,), "PAM4"),
    0x22: Interface("800G-SR4.2", "850.00", (8,), "PAM4"),
    0x23: Interface("1.6T-VR8.2", "1700.00", (16,), "PAM4"),
    0x24: Interface("1.6T-SR8.2", "1700.00", (16,), "PAM4"),
}  # fmt: skip
"""Media interfaces of media type 01h, optical multi-mode."""

SMF_INTERFACES: Final[Mapping[int, Interface]] = {
    0x00: Interface("Undefined"),
    0x01: Interface("10GBASE-LW (Cl 52)", "9.95", (1,), "NRZ"),
    0x02: Interface("10GBASE-EW (Cl 52)", "9.95", (1,), "NRZ"),
    0x03: Interface("10G-ZW", "9.95", (1,), "NRZ"),
    0x04: Interface("10GBASE-LR (Cl 52)", "10.31", (1,), "NRZ"),
    0x05: Interface("10GBASE-ER (Cl 52)", "10.31", (1,), "NRZ"),
    0x06: Interface("10G-ZR", "10.31", (1,), "NRZ"),
    0x07: Interface("25GBASE-LR (Cl 114)", "25.78", (1,), "NRZ"),
    0x08: Interface("25GBASE-ER (Cl 114)", "25.78", (1,), "NRZ"),
    0x09: Interface("40GBASE-LR4 (Cl 87)", "41.25", (4,), "NRZ"),
    0x0A: Interface("40GBASE-FR (Cl 89)", "41.25", (1,), "NRZ"),
    0x0B: Interface("50GBASE-FR (Cl 139)", "53.13", (1,), "PAM4"),
    0x0C: Interface("50GBASE-LR (Cl 139)", "53.13", (1,), "PAM4"),
    0x0D: Interface("100GBASE-LR4 (Cl 88)", "103.13", (4,), "NRZ"),
    0x0E: Interface("100GBASE-ER4 (Cl 88)", "103.13", (4,), "NRZ"),
    0x0F: Interface("100G PSM4 MSA", "103.13", (4,), "NRZ"),
    0x10: Interface("100G CWDM4 MSA", "103.13", (4,), "NRZ"),
    0x11: Interface("100G 4WDM-10 MSA", "103.13", (4,), "NRZ"),
    0x12: Interface("100G 4WDM-20 MSA", "103.13", (4,), "NRZ"),
    0x13: Interface("100G 4WDM-40 MSA", "103.13", (4,), "NRZ"),
    0x14: Interface("100GBASE-DR (Cl 140)", "106.25", (1,), "PAM4"),
    0x15: Interface("100G-FR / 100GBASE-FR1 (Cl 140)", "106.25", (1,), "PAM4"),
    0x16: Interface("100G-LR / 100GBASE-LR1 (Cl 140)", "106.25", (1,), "PAM4"),
    0x17: Interface("200GBASE-DR4 (Cl 121)", "212.50", (4,), "PAM4"),
    0x18: Interface("200GBASE-FR4 (Cl 122)", "212.50", (4,), "PAM4"),
    0x19: Interface("200GBASE-LR4 (Cl 122)", "212.50", (4,), "PAM4"),
    0x1A: Interface("400GBASE-FR8 (Cl 122)", "425.00", (8,), "PAM4"),
    0x1B: Interface("400GBASE-LR8 (Cl 122)", "425.00", (8,), "PAM4"),
    0x1C: Interface("400GBASE-DR4 (Cl 124)", "425.00", (4,), "PAM4"),
    0x1D: Interface("400G-FR4 / 400GBASE-FR4 (Cl 151)", "425.00", (4,), "PAM4"),
    0x1E: Interface("400G-LR4-10 MSA", "425.00", (4,), "PAM4"),
    0x1F: Interface("8GFC-SM (FC-PI-4)", "8.50", (1,), "NRZ"),
    0x20: Interface("10GFC-SM (10GFC)", "10.52", (1,), "NRZ"),
    0x21: Interface("16GFC-SM (FC-PI-5)", "14.03", (1,), "NRZ"),
    0x22: Interface("32GFC-SM (FC-PI-6)", "28.05", (1,), "NRZ"),
    0x23: Interface("64GFC-SM (FC-PI-7)", "57.80", (1,), "PAM4"),
    0x24: Interface("128GFC-PSM4 (FC-PI-6P)", "112.20", (4,), "NRZ"),
    0x26: Interface("128GFC-CWDM4 (FC-PI-6P)", "112.20", (4,), "NRZ"),
    0x2C: Interface("4I1-9D1F (G.959.1)", "112", (4,), "NRZ"),
    0x2D: Interface("4L1-9C1F (G.959.1)", "112", (4,), "NRZ"),
    0x2E: Interface("4L1-9D1F (G.959.1)", "112", (4,), "NRZ"),
    0x2F: Interface("C4S1-9D1F (G.695)", "112", (4,), "NRZ"),
    0x30: Interface("C4S1-4D1F (G.695)", "224", (4,), "PAM4"),
    0x31: Interface("4I1-4D1F (G.959.1)", "224", (4,), "PAM4"),
    0x32: Interface("8R1-4D1F (G.959.1)", "447", (8,), "PAM4"),
    0x33: Interface("8I1-4D1F (G.959.1)", "447", (8,), "PAM4"),
    0x34: Interface("100G CWDM4-OCP", "103.13", (4,), "NRZ"),
    0x35: Interface("ZR400-OFEC-16QAM-HA", "481.108374", (1,), "DP-16QAM"),
    0x36: Interface("ZR400-OFEC-16QAM-HB", "481.108374", (1,), "DP-16QAM"),
    0x37: Interface("ZR400-OFEC-8QAM-HA", "481.108374", (1,), "DP-8QAM"),
    0x38: Interface("CPRI 10G-SR", "9.8304", (1,), "NRZ"),
    0x39: Interface("CPRI 10G-LR", "9.8304", (1,), "NRZ"),
    0x3A: Interface("CPRI 25G-SR", "24.33024", (1,), "NRZ"),
    0x3B: Interface("CPRI 25G-LR", "24.33024", (1,), "NRZ"),
    0x3C: Interface("CPRI 10G-LR-BiDi", "9.8304", (1,), "NRZ"),
    0x3D: Interface("CPRI 25G-LR-BiDi", "24.33024", (1,), "NRZ"),
    0x3E: Interface("400ZR DWDM amplified (OIF 0x01, 0x03)", "478.75", (1,), "DP-16QAM"),
    0x3F: Interface("400ZR single wavelength unamplified (OIF 0x02)", "478.75", (1,), "DP-16QAM"),
    0x40: Interface("50GBASE-ER (Cl 139)", "53.13", (1,), "PAM4"),
    0x41: Interface("200GBASE-ER4 (Cl 122)", "212.50", (4,), "PAM4"),
    0x42: Interface("400GBASE-ER8 (Cl 122)", "425.00", (8,), "PAM4"),
    0x43: Interface("400GBASE-LR4-6 (Cl 151)", "425.00", (4,), "PAM4"),
    0x44: Interface("100GBASE-ZR (Cl 154)", "111.81", (1,), "DP-QPSK"),
    0x45: Interface("128GFC-SM (FC-PI-8)", "112.20", (1,), "PAM4"),
    0x46: Interface("ZR400-OFEC-16QAM", "481.108374", (1,), "DP-16QAM"),
    0x47: Interface("ZR300-OFEC-8QAM", "360.831281", (1,), "DP-8QAM"),
    0x48: Interface("ZR200-OFEC-QPSK", "240.554187", (1,), "DP-QPSK"),
    0x49: Interface("ZR100-OFEC-QPSK", "120.277094", (1,), "DP-QPSK"),
    0x4A: Interface("100G-LR1-20 MSA", "106.25", (1,), "PAM4"),
    0x4B: Interface("100G-ER1-30 MSA", "106.25", (1,), "PAM4"),
    0x4C: Interface("100G-ER1-40 MSA", "106.25", (1,), "PAM4"),
    0x4D: Interface("400GBASE-ZR (Cl 156)", "478.75", (1,), "DP-16QAM"),
    0x4E: Interface("10GBASE-BR (Cl 158)", "10.31", (1,), "NRZ"),
    0x4F: Interface("25GBASE-BR (Cl 159)", "25.78", (1,), "NRZ"),
    0x50: Interface("50GBASE-BR (Cl 160)", "53.13", (1,), "PAM4"),
    0x51: Interface("FOIC1.4-DO (G.709.3)", "126.278935", (1,), "DP-QPSK"),
    0x52: Interface("FOIC2.8-DO (G.709.3)", "252.557871", (1,), "DP-16QAM"),
    0x53: Interface("FOIC4.8-DO (G.709.3)", "505.115743", (1,), "DP-16QAM"),
    0x54: Interface("FOIC2.4-DO (G.709.3)", "252.557871", (1,), "DP-QPSK"),
    0x55: Interface("400GBASE-DR4-2 (Cl 124)", "425.00", (4,), "PAM4"),
    0x56: Interface("800GBASE-DR8 (Cl 124)", "850.00", (8,), "PAM4"),
    0x57: Interface("800GBASE-DR8-2 (Cl 124)", "850.00", (8,), "PAM4"),
    0x58: Interface("ZR400-OFEC-8QAM-HB", "481.108374", (1,), "DP-8QAM"),
    0x59: Interface("ZR300-OFEC-8QAM-HA", "360.831281", (1,), "DP-8QAM"),
    0x5A: Interface("ZR300-OFEC-8QAM-HB", "360.831281", (1,), "DP-8QAM"),
    0x5B: Interface("ZR200-OFEC-QPSK-HA", "240.554187", (1,), "DP-QPSK"),
    0x5C: Interface("ZR200-OFEC-QPSK-HB", "240.554187", (1,), "DP-QPSK"),
    0x5D: Interface("ZR100-OFEC-QPSK-HA", "120.277094", (1,), "DP-QPSK"),
    0x5E: Interface("ZR100-OFEC-QPSK-HB", "120.277094", (1,), "DP-QPSK"),
    0x5F: Interface("FLEXO-4-DO-16QAM/FOIC4.8-DO", "505.115743", (1,), "DP-16QAM"),
    0x60: Interface("FLEXO-3-DO-8QAM/FOIC3.6-DO", "378.836807", (1,), "DP-8QAM"),
    0x61: Interface("FLEXO-2-DO-QPSK/FOIC2.4-DO", "252.557871", (1,), "DP-QPSK"),
    0x62: Interface("FLEXO-2-DO-16QAM/FOIC2.8-DO", "252.557871", (1,), "DP-16QAM"),
    0x63: Interface("FLEXO-1-DO-QPSK/FOIC1.4-DO", "126.278935", (1,), "DP-QPSK"),
    0x64: Interface("FLEXO-4e-DO-QPSK/FOIC4e.4-DO", "472.813402412", (1,), "DP-QPSK"),
    0x65: Interface("FLEXO-4-DO-QPSK/FOIC4.4-DO", "496.406851256", (1,), "DP-QPSK"),
    0x66: Interface("FLEXO-8e-DO-16QAM / FOIC8e.8-DO", "945.626804824", (1,), "DP-16QAM"),
    0x67: Interface("FLEXO-8-DO-16QAM/FOIC8.8-DO", "992.813702512", (1,), "DP-16QAM"),
    0x68: Interface("FLEXO-8e-DPO-16QAM / FOIC8e.8-DPO", "1050.696449808", (1,), "PCS-16QAM"),
    0x69: Interface("FLEXO-8-DPO-16QAM / FOIC8.8-DPO", "1050.788225280", (1,), "PCS-16QAM"),
    0x6A: Interface("FLEXO-6e-DPO-16QAM / FOIC6e.8-DPO", "949.994596072", (1,), "PCS-16QAM"),
    0x6B: Interface("FLEXO-6-DPO-16QAM / FOIC6.8-DPO", "997.399447096", (1,), "PCS-16QAM"),
    0x6C: Interface("800ZR-A 150 GHz DWDM, Tx range A", "945.626804824", (1,), "DP-16QAM"),
    0x6D: Interface("800ZR-B 150 GHz DWDM, Tx range B", "945.626804824", (1,), "DP-16QAM"),
    0x6E: Interface("800ZR-C 150 GHz DWDM, Tx range C", "945.626804824", (1,), "DP-16QAM"),
    0x6F: Interface("400G-ER4-30 MSA", "425.00", (4,), "PAM4"),
    0x70: Interface("1I1-5D1F (G.959.1)", "111.809474", (1,), "PAM4"),
    0x71: Interface("1R1-5D1F (G.959.1)", "111.809474", (1,), "PAM4"),
    0x72: Interface("FOIC1.1-RS (G.709.1)", "126.278935", (1,), ""),
    0x73: Interface("200GBASE-DR1 (Cl 180)", "212.50", (1,), "PAM4"),
    0x74: Interface("200GBASE-DR1-2 (Cl 181)", "212.50", (1,), "PAM4"),
    0x75: Interface("400GBASE-DR2 (Cl 180)", "425.00", (2,), "PAM4"),
    0x76: Interface("400GBASE-DR2-2 (Cl 181)", "425.00", (2,), "PAM4"),
    0x77: Interface("800GBASE-DR4 (Cl 180)", "850.00", (4,), "PAM4"),
    0x78: Interface("800GBASE-DR4-2 (Cl 181)", "850.00", (4,), "PAM4"),
    0x79: Interface("800GBASE-FR4-500 (Cl 183)", "850.00", (4,), "PAM4"),
    0x7A: Interface("800GBASE-FR4 (Cl 183)", "850.00", (4,), "PAM4"),
    0x7B: Interface("800GBASE-LR4 (Cl 183)", "850.00", (4,), "PAM4"),
    0x7C: Interface("800GBASE-LR1 (Cl 185)", "850.00", (1,), "DP-16QAM"),
    0x7D: Interface("800GBASE-ER1-20 (Cl 187)", "850.00", (1,), "DP-16QAM"),
    0x7E: Interface("800GBASE-ER1 (Cl 187)", "850.00", (1,), "DP-16QAM"),
    0x7F: Interface("1.6TBASE-DR8 (Cl 180)", "1700.00", (8,), "PAM4"),
    0x80: Interface("1.6TBASE-DR8-2 (Cl 181)", "1700.00", (8,), "PAM4"),
    0x81: Interface("XR400-16QAM", "484.023917", (16,), "DP-16QAM"),
    0x82: Interface("XR300-8QAM", "363.017938", (16,), "DP-8QAM"),
    0x83: Interface("XR200-QPSK", "242.011959", (16,), "DP-QPSK"),
    0x84: Interface("XR200-16QAM", "242.011959", (8,), "DP-16QAM"),
    0x85: Interface("XR100-QPSK", "121.005979", (8,), "DP-QPSK"),
    0x86: Interface("XR100-16QAM", "121.005979", (4,), "DP-16QAM"),
    0x87: Interface("XR400-WS-16QAM", "484.023917", (16,), "DP-16QAM"),
    0x88: Interface("XR200-WS-QPSK", "242.011959", (16,), "DP-QPSK"),
    0x89: Interface("XR200-WS-16QAM", "242.011959", (8,), "DP-16QAM"),
    0x8A: Interface("XR100-WS-QPSK", "121.005979", (8,), "DP-QPSK"),
    0x8B: Interface("XR100-WS-16QAM", "121.005979", (4,), "DP-16QAM"),
    0x8C: Interface("XR200-WS-BIDI-16QAM", "242.011959", (8,), "DP-16QAM"),
    0x8D: Interface("XR100-WS-BIDI-QPSK", "121.005979", (8,), "DP-QPSK"),
    0x8E: Interface("XR100-WS-BIDI-16QAM", "121.005979", (4,), "DP-16QAM"),
    0x8F: Interface("100G-DR1-LPO", "106.25", (1,), "PAM4"),
    0x90: Interface("200G-DR2-LPO", "212.50", (2,), "PAM4"),
    0x91: Interface("400G-DR4-LPO", "425.00", (4,), "PAM4"),
    0x92: Interface("800G-DR8-LPO", "850.00", (8,), "PAM4"),
    0x93: Interface("800G-FR4-LPO (non-standard)"),
    0x98: Interface("200G DR2 (non-standard)"),
    0xC1: Interface("800G FR8 (non-standard)"),
    0xC2: Interface("400G FR2 (non-standard)"),
    0xC4: Interface("200G FR1 (non-standard)"),
    0xF7: Interface("ZR vendor custom (non-standard)"),
}  # fmt: skip
"""Media interfaces of media type 02h, optical single-mode."""


PASSIVE_COPPER_INTERFACES: Final[Mapping[int, Interface]] = {
    0x00: Interface("Undefined"),
    0x01: Interface("Copper cable"),
    0x03: Interface("400G copper (non-standard)"),
    0xBF: Interface("Passive loopback"),
    0xC0: Interface("Linear active copper loopback"),
}  # fmt: skip
"""Media interfaces of media type 03h, passive and linear active copper."""

ACTIVE_CABLE_INTERFACES: Final[Mapping[int, Interface]] = {
    0x00: Interface("Undefined"),
    0x01: Interface("Active cable, BER < 1e-12"),
    0x02: Interface("Active cable, BER < 5e-5"),
    0x03: Interface("Active cable, BER < 2.6e-4"),
    0x04: Interface("Active cable, BER < 1e-6"),
    0xBF: Interface("Active loopback"),
}  # fmt: skip
"""Media interfaces of media type 04h, active cables."""

BASE_T_INTERFACES: Final[Mapping[int, Interface]] = {
    0x00: Interface("Undefined"),
    0x01: Interface("1000BASE-T (Cl 40)", "1"),
    0x02: Interface("2.5GBASE-T (Cl 126)", "2.5"),
    0x03: Interface("5GBASE-T (Cl 126)", "5"),
    0x04: Interface("10GBASE-T (Cl 55)", "10"),
    0x05: Interface("25GBASE-T (Cl 113)", "25"),
    0x06: Interface("40GBASE-T (Cl 113)", "40"),
    0x07: Interface("50GBASE-T placeholder", "50"),
}  # fmt: skip
"""Media interfaces of media type 05h, BASE-T."""

MEDIA_INTERFACES: Final[Mapping[int, Mapping[int, Interface]]] = {
    0x01: MMF_INTERFACES,
    0x02: SMF_INTERFACES,
    0x03: PASSIVE_COPPER_INTERFACES,
    0x04: ACTIVE_CABLE_INTERFACES,
    0x05: BASE_T_INTERFACES,
}  # fmt: skip
"""Byte 2 of a CMIS application descriptor, by media type."""

END_OF_APPLICATIONS: Final = 0xFF
"""Host interface code behind the last application descriptor."""
COPPER_COMPLIANCE: Final = frozenset(
    {0x08, 0x0B, 0x0C, 0x0D, 0x0E, 0x16, 0x19, 0x1C, 0x1D, 0x1E, 0x30, 0x32, 0x3F, 0x40}
)
"""Extended compliance codes of copper media: cables and BASE-T."""
ACTIVE_COPPER_COMPLIANCE: Final = frozenset({0x08, 0x19, 0x30, 0x32})
"""Those of them that are active cables."""
BASE_T_COMPLIANCE: Final = frozenset({0x0E, 0x16, 0x1C, 0x1D, 0x1E})
"""Those of them that are twisted pair."""

_UNKNOWN_IDENTIFIER: Final = Identifier("", "")


def label(table: Mapping[int, str], code: int, *, vendor_from: int = 0x80) -> str:
    """The name of `code`; one that the table lacks is reserved, or from `vendor_from` on the vendor's."""
    name = table.get(code)
    if name is not None:
        return name
    return f"{'vendor' if code >= vendor_from else 'reserved'} (0x{code:02X})"


def identifier(code: int) -> Identifier:
    """The form factor behind byte 0; an unknown code has no memory map."""
    known = IDENTIFIERS.get(code, _UNKNOWN_IDENTIFIER)
    return known if known.name else Identifier(label({}, code), "")


def connector(code: int) -> str:
    """The name of a connector code."""
    return label(CONNECTORS, code)


def extended_compliance(code: int) -> str:
    """The name of an extended compliance code; reserved up to the last, vendors have no range."""
    return label(EXTENDED_COMPLIANCE, code, vendor_from=0x100)


def host_interface(code: int) -> Interface:
    """A host interface; a code without a name is said to be reserved or the vendor's (C0h-FEh)."""
    return HOST_INTERFACES.get(code) or Interface(label({}, code, vendor_from=0xC0))


def media_interface(media_type: int, code: int) -> Interface:
    """A media interface of a CMIS media type; for a media type without a table the code alone is named."""
    found = MEDIA_INTERFACES.get(media_type, {}).get(code)
    if found is not None:
        return found
    return Interface("Undefined" if code == 0 else label({}, code, vendor_from=0xC0))
