"""The name that was perhaps meant."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """The one that looks most like it; empty when none does."""
    from difflib import get_close_matches  # noqa: PLC0415  # only who made a mistake pays for it

    return next(iter(get_close_matches(name, list(known), n=1)), "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The same as the end of a sentence."""
    near = nearest(name, known)
    return f", did you mean {near!r}?" if near else ""
