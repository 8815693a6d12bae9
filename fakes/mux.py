"""I2C multiplexers without kernel driver: PCA954x in front of other fake devices.

    adapter = FakeAdapter(FakeMux(0x70, {0: [module], 3: [another]}))

Documents: NXP PCA9548A and PCA9547 data sheets (control register).

Not simulated: interrupts, reset, the channel change at STOP (it is at once here).
"""

from collections.abc import Mapping, Sequence

from fakes.module import FakeModule, I2cDevice


class FakeMux:
    """A PCA954x: devices on channels, reached through the control register at `address`.

    `enable` 0: a switch (PCA9546, 9548), one bit a channel; 4 or 8: a multiplexer (PCA9544, 9547), the channel's
    number with this enable bit.
    """

    def __init__(self, address: int, channels: Mapping[int, Sequence[I2cDevice]], *, enable: int = 0) -> None:
        self.address = address
        self.channels = {number: tuple(devices) for number, devices in channels.items()}
        self.enable = enable
        self.control = 0
        """Channels off, as after power-up."""

    def write(self, address: int, data: bytes) -> int | None:
        """A write message, as `I2cDevice`."""
        if address == self.address:
            if data:
                if FakeModule.witness is not None:
                    FakeModule.witness(address, data, 0)
                self.control = data[-1]
            return len(data)
        return next((n for d in self._reached() if (n := d.write(address, data)) is not None), None)

    def read(self, address: int, n: int) -> bytes | None:
        """A read message, as `I2cDevice`."""
        if address == self.address:
            return bytes((self.control,)) * n
        return next((b for d in self._reached() if (b := d.read(address, n)) is not None), None)

    def _reached(self) -> list[I2cDevice]:
        if self.enable:
            on = [self.control & (self.enable - 1)] if self.control & self.enable else []
        else:
            on = [number for number in range(8) if self.control >> number & 1]
        return [device for number in on for device in self.channels.get(number, ())]
