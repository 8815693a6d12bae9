"""Modules on I2C buses: transfers, muxes, page select, and the guard on every write."""
