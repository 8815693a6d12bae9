"""Switches over SNMP: a fast reader, a client, vendors as data, and the source that polls them."""
