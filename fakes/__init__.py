"""Devices that are not there: each fake speaks its protocol at the lowest level a real device has."""
