"""Modules behind serial bridges: I2CDriver, Bus Pirate, SC18IM700."""
