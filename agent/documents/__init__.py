"""Readings as documents: JSON, tables, saved module memory."""
