"""What opticd measures: the name, unit and help text of every quantity and flag exist only here."""

from dataclasses import dataclass
from enum import Enum
from math import log10
from typing import Final


class Unit(Enum):
    """A Prometheus base unit; the value is the suffix of keys and metric names."""

    CELSIUS = "celsius"
    VOLT = "volts"
    AMPERE = "amperes"
    WATT = "watts"
    DBM = "dbm"
    DB = "db"
    RATIO = "ratio"
    HERTZ = "hertz"
    METER = "meters"
    SECOND = "seconds"
    COUNT = "total"
    NONE = ""


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """One measured quantity; compared and hashed by identity, so use the constants below."""

    name: str
    unit: Unit
    help: str

    @property
    def key(self) -> str:
        """Its name in readings and, behind `xcvr_`, in metrics: name and base unit."""
        return f"{self.name}_{self.unit.value}" if self.unit.value else self.name

    def __repr__(self) -> str:
        return f"<{self.key}>"


TEMPERATURE: Final = Quantity("temperature", Unit.CELSIUS, "Case temperature of the module.")
SUPPLY_VOLTAGE: Final = Quantity("supply_voltage", Unit.VOLT, "Supply voltage inside the module.")
LASER_TEMPERATURE: Final = Quantity("laser_temperature", Unit.CELSIUS, "Temperature of the laser.")
TEC_CURRENT: Final = Quantity(
    "tec_current", Unit.RATIO, "Current of the thermoelectric cooler over its maximum, positive heats."
)
TEC_CURRENT_AMPERES: Final = Quantity(
    "tec_current", Unit.AMPERE, "Current of the thermoelectric cooler, positive cools (SFF-8472)."
)
AUX_SUPPLY_VOLTAGE: Final = Quantity("aux_supply_voltage", Unit.VOLT, "Additional supply voltage (Vcc2).")
AUX1: Final = Quantity("aux1", Unit.NONE, "Auxiliary monitor 1, vendor defined, raw value.")
SECOND_TEC_CURRENT: Final = Quantity(
    "aux2", Unit.RATIO, "Current of a second thermoelectric cooler over its maximum (auxiliary monitor 2)."
)
SECOND_LASER_TEMPERATURE: Final = Quantity(
    "aux3", Unit.CELSIUS, "Temperature of a second laser (auxiliary monitor 3)."
)
CUSTOM: Final = Quantity("custom", Unit.NONE, "Custom monitor, vendor defined, raw value.")
TX_POWER: Final = Quantity("tx_power", Unit.WATT, "Optical power launched.")
RX_POWER: Final = Quantity("rx_power", Unit.WATT, "Optical power received.")
TX_BIAS: Final = Quantity("tx_bias", Unit.AMPERE, "Bias current of the transmit laser.")
MEDIA_SNR: Final = Quantity("media_snr", Unit.DB, "Signal-to-noise ratio at the media input.")
HOST_SNR: Final = Quantity("host_snr", Unit.DB, "Signal-to-noise ratio at the host input.")
MEDIA_BER: Final = Quantity("media_ber", Unit.RATIO, "Bit error ratio of the pattern checker at the media input.")
HOST_BER: Final = Quantity("host_ber", Unit.RATIO, "Bit error ratio of the pattern checker at the host input.")
RX_LATENCY: Final = Quantity("rx_latency", Unit.SECOND, "Time a signal takes from the media to the host side.")
TX_LATENCY: Final = Quantity("tx_latency", Unit.SECOND, "Time a signal takes from the host to the media side.")
HOST_INPUT_VMA: Final = Quantity(
    "host_input_vma", Unit.VOLT, "Modulation amplitude of the signal at the host input."
)
RX_OMA: Final = Quantity("rx_oma", Unit.WATT, "Optical modulation amplitude received.")
LASER_BIAS: Final = Quantity("laser_bias", Unit.AMPERE, "Bias current of the lasers that an engine shows.")
LASER_POWER: Final = Quantity("laser_power", Unit.WATT, "Optical power of the lasers that an engine shows.")
LASER_VOLTAGE: Final = Quantity("laser_voltage", Unit.VOLT, "Forward voltage of a laser.")
LASER_FREQUENCY: Final = Quantity("laser_frequency", Unit.HERTZ, "Optical frequency of a laser.")
SUPPLY_CURRENT: Final = Quantity("supply_current", Unit.AMPERE, "Current that the module draws.")


DBM_FLOOR: Final = -40.0
"""What 0 W is shown as: one least significant bit of every specification is exactly -40 dBm."""


def dbm(watts: float) -> float:
    """Optical power in dBm, for display."""
    return 10.0 * log10(watts) + 30.0 if watts > 0.0 else DBM_FLOOR


FEC_CORRECTED: Final = Quantity(
    "fec_corrected_codewords", Unit.COUNT, "Codewords that error correction of the host's port repaired."
)
FEC_UNCORRECTABLE: Final = Quantity(
    "fec_uncorrectable_codewords",
    Unit.COUNT,
    "Codewords that error correction of the host's port could not repair.",
)
FEC_CORRECTED_BITS: Final = Quantity(
    "fec_corrected_bits", Unit.COUNT, "Bits that error correction of the host's port repaired."
)
FEC_CODEWORDS_BY_ERRORS: Final = Quantity(
    "fec_codewords_by_symbol_errors", Unit.COUNT, "Codewords by the number of symbol errors in them."
)
IB_LINK_DOWNED: Final = Quantity("ib_link_downed", Unit.COUNT, "Times the InfiniBand link failed and went down.")
IB_LINK_ERROR_RECOVERY: Final = Quantity(
    "ib_link_error_recovery", Unit.COUNT, "Times the InfiniBand link recovered from an error."
)
IB_SYMBOL_ERROR: Final = Quantity("ib_symbol_error", Unit.COUNT, "Symbol errors on the InfiniBand link.")
CARRIER_UP: Final = Quantity("carrier_up", Unit.COUNT, "Times the kernel saw the carrier come.")
CARRIER_DOWN: Final = Quantity("carrier_down", Unit.COUNT, "Times the kernel saw the carrier go.")
PHY_LINK_DOWN: Final = Quantity(
    "phy_link_down", Unit.COUNT, "Times the card's own link went down, as its driver says."
)


@dataclass(frozen=True, slots=True, eq=False)
class Flag:
    """A yes or no that a module reports; `latched` ones are cleared by the read that returns them."""

    name: str
    help: str
    latched: bool = True

    def __repr__(self) -> str:
        return f"<{self.name}>"


RX_LOS: Final = Flag("rx_los", "Loss of signal at the media input.")
TX_LOS: Final = Flag("tx_los", "Loss of signal at the host input.")
RX_CDR_LOL: Final = Flag("rx_cdr_lol", "Clock recovery of the media input lost lock.")
TX_CDR_LOL: Final = Flag("tx_cdr_lol", "Clock recovery of the host input lost lock.")
TX_FAULT: Final = Flag("tx_fault", "Fault of the transmitter.")
TX_ADAPTIVE_EQ_FAULT: Final = Flag("tx_adaptive_eq_fault", "Adaptive equaliser of the host input failed.")
DATA_PATH_STATE_CHANGED: Final = Flag("data_path_state_changed", "The data path of a lane changed state.")
MODULE_STATE_CHANGED: Final = Flag("module_state_changed", "The module changed state.")
MODULE_FIRMWARE_ERROR: Final = Flag("module_firmware_error", "The self test of the module's firmware failed.")
DATA_PATH_FIRMWARE_ERROR: Final = Flag(
    "data_path_firmware_error", "The firmware of the signal processor could not be loaded."
)

ALARMED: Final = (
    "temperature", "supply_voltage", "aux1", "aux2", "aux3", "custom",
    "tx_power", "tx_bias", "rx_power", "laser_temperature", "tec_current",
)  # fmt: skip
BOUNDS: Final = ("high_alarm", "low_alarm", "high_warning", "low_warning")
"""The order in which all three specifications store the four thresholds and flags of a monitor."""

ALARM_FLAGS: Final = {
    (name, bound): Flag(f"{name}_{bound}", f"The module's own {bound.replace('_', ' ')} of {name}.")
    for name in ALARMED
    for bound in BOUNDS
}

LINEAR_FLAGS: Final = {
    (name, bound): Flag(f"{name}_{bound}", f"The module's own {bound.replace('_', ' ')} of {name}.")
    for name in (HOST_INPUT_VMA.name, RX_OMA.name)
    for bound in BOUNDS
}
"""Of linear optics with enhanced monitors."""
COHERENT_FLAGS: Final = {
    name: Flag(name, f"Coherent module: {text}.")
    for name, text in (
        ("media_tx_fifo_error", "FIFO of the media transmitter"),
        ("media_tx_deskew_lol", "deskew of the media transmitter lost lock"),
        ("media_tx_reference_clock_lol", "reference clock of the media transmitter lost lock"),
        ("media_tx_cmu_lol", "clock multiplier of the media transmitter lost lock"),
        ("media_tx_out_of_alignment", "media transmitter out of alignment"),
        ("media_tx_loss_of_alignment", "media transmitter lost alignment"),
        ("media_rx_fifo_error", "FIFO of the media receiver"),
        ("media_rx_deskew_lol", "deskew of the media receiver lost lock"),
        ("media_rx_out_of_alignment", "media receiver out of alignment"),
        ("media_rx_loss_of_alignment", "media receiver lost alignment"),
        ("media_rx_cd_compensation_lol", "compensation of chromatic dispersion lost lock"),
        ("media_rx_demodulator_lol", "demodulator lost lock"),
        ("media_rx_loss_of_multiframe", "media receiver lost the multiframe"),
        ("media_rx_loss_of_frame", "media receiver lost the frame"),
        ("media_rx_fec_detected_degrade", "error correction of the media side degraded"),
        ("media_rx_fec_excessive_degrade", "error correction of the media side excessively degraded"),
        ("media_remote_phy_fault", "fault of the remote PHY"),
        ("media_local_degrade", "local degrade signalled"),
        ("media_remote_degrade", "remote degrade signalled"),
        ("host_fec_detected_degrade", "error correction of the host side degraded"),
        ("host_fec_excessive_degrade", "error correction of the host side excessively degraded"),
        ("host_local_degrade", "local degrade signalled at the host side"),
        ("host_remote_degrade", "remote degrade signalled at the host side"),
        ("host_tx_local_fault", "local fault of the host transmitter"),
        ("host_tx_remote_fault", "remote fault of the host transmitter"),
        ("host_tx_loss_of_alignment", "host transmitter lost alignment"),
        ("host_rx_local_fault", "local fault of the host receiver"),
        ("host_rx_remote_fault", "remote fault of the host receiver"),
        ("host_rx_loss_of_alignment", "host receiver lost alignment"),
    )
}
"""C-CMIS pages 33h and 3Bh."""

QUANTITIES: Final = tuple(v for v in list(globals().values()) if isinstance(v, Quantity))
FLAGS: Final = (
    *(v for v in list(globals().values()) if isinstance(v, Flag)),
    *ALARM_FLAGS.values(),
    *LINEAR_FLAGS.values(),
    *COHERENT_FLAGS.values(),
)
