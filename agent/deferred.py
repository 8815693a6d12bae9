"""Packages whose parts are used without what their own `__init__` imports.

    defer("aiohttp")
    from aiohttp import web      # the server; the client, its TLS contexts and every CA certificate stay unread

Whoever asks the package for anything but a module of its own gets the whole of it, then: nothing is missing, it is
only later. A package that is imported already stays as it is.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType


class _Deferred(ModuleType):
    """A package that was not run yet."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__loader__ = spec.loader
        self.__file__ = spec.origin
        self.__package__ = spec.name
        self.__path__ = list(spec.submodule_search_locations or ())
        self.__version__ = version(spec.name)  # what a package's own modules ask it for
        self._whole = False

    def __getattr__(self, name: str) -> object:
        """Called for what is not there yet: a module of the package, or something that only all of it gives."""
        spec = self.__spec__
        if self._whole or name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if find_spec(f"{self.__name__}.{name}") is not None:
            return import_module(f"{self.__name__}.{name}")
        self._whole = True
        spec.loader.exec_module(self)
        return getattr(self, name)


def defer(package: str) -> None:
    """Let modules of `package` be imported without it."""
    if package in sys.modules:
        return
    spec = find_spec(package)
    if spec is not None:
        sys.modules[package] = _Deferred(spec)
