"""Tests: literals in, literals out; fakes at the wire."""
