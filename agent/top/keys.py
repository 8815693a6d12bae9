"""Bytes of a terminal's keyboard as names of keys: `up`, `enter`, `escape`, or the character that was typed."""

import codecs
import re
from typing import Final

_SEQUENCES: Final = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "Z": "backtab",
    "1~": "home", "7~": "home", "4~": "end", "8~": "end", "5~": "pageup", "6~": "pagedown", "3~": "delete",
}  # fmt: skip
_CONTROLS: Final = {
    "\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace",
    "\x0c": "redraw", "\x15": "clear", "\x02": "pageup", "\x06": "pagedown", "\x10": "up", "\x0e": "down",
}  # fmt: skip
_ESCAPED: Final = re.compile(r"\x1b(?:\[([0-9;?<=>]*)([@-~])|O([@-~]))")
_BEGUN: Final = re.compile(r"\x1b(?:\[[0-9;?<=>]*|O)?")


class Keys:
    """Takes bytes as they come; an escape sequence may come in pieces."""

    def __init__(self) -> None:
        self._text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def waiting(self) -> bool:
        """Something was begun that may be the Escape key: call `flush` when nothing follows soon."""
        return bool(self._text)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete now."""
        self._text += self._decoder.decode(data)
        keys: list[str] = []
        while self._text:
            if self._text[0] != "\x1b":
                char, self._text = self._text[0], self._text[1:]
                if char in _CONTROLS:
                    keys.append(_CONTROLS[char])
                elif char.isprintable():
                    keys.append(char)
                continue
            if found := _ESCAPED.match(self._text):
                self._text = self._text[found.end() :]
                # Modifiers (`1;5A`) change nothing here.
                number = found[1].split(";")[0] if found[1] and found[2] == "~" else ""
                name = _SEQUENCES.get(number + (found[2] or found[3]))
                keys += [name] if name else []
            elif _BEGUN.fullmatch(self._text):
                break
            else:  # Escape, or Alt and a key: both mean Escape here
                self._text = self._text[1:]
                keys.append("escape")
        return keys

    def flush(self) -> list[str]:
        """Nothing followed: it was the Escape key."""
        begun, self._text = self._text, ""
        return ["escape"] if begun else []
