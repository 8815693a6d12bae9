"""Reads, judges and hands on: the daemon without its hardware and its outlets."""
