"""A small file that outlives the process: replaced in one step, and what makes no sense is put aside."""

import logging
import os
import threading
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

_log = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)


class StateFile:
    """`path` holds `what` (words for messages). Failures are said once, never raised."""

    def __init__(self, path: Path, *, what: str) -> None:
        self.path: Final = path
        self._what = what
        self._lock = threading.Lock()
        self._failed = False
        self._newest = 0

    def read(self) -> str | None:
        """The text, None when there is none or it cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            self.reject(str(exc))
            return None

    def load(self, model: type[M]) -> M | None:
        """What was saved, None when there is none or it makes no sense."""
        text = self.read()
        if text is None:
            return None
        try:
            return model.model_validate_json(text)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            self.reject(f"{where}: {first['msg']}")
            return None

    def reject(self, why: str) -> None:
        """The text made no sense: keep it under another name and start anew."""
        _log.error("%s: %s start anew: %s", self.path, self._what, why)
        try:
            self.path.replace(self.path.with_suffix(".bad"))
        except OSError as exc:
            _log.warning("%s: %s", self.path, exc.strerror)

    def write(self, text: str, *, number: int = 0) -> bool:
        """Replace the text; from any thread. One with a lower `number` than the one on the disk comes too late."""
        with self._lock:
            if number < self._newest:
                return True
            try:
                _replace(self.path, text)
            except OSError as exc:
                if not self._failed:
                    _log.error("%s: %s will not survive a restart: %s", self.path, self._what, exc.strerror)
                self._failed = True
                return False
            self._failed = False
            self._newest = number
            return True


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    new.replace(path)
