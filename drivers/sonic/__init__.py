"""Modules of a SONiC switch, out of its database."""
