"""Which version of MQTT is spoken: the fifth, until a broker shows that it does not know it."""

from typing import Final, Literal

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

Version = Literal["5", "3.1.1"]
VERSION_REFUSED: Final = 0x84
"""MQTT 5, 3.2.2.2; paho shows the 0x01 of MQTT 3.1.1 as this."""


class NoAnswer(aiomqtt.MqttError):
    """The broker closed the connection, or stays silent, instead of an answer to CONNECT."""


class Dialect:
    """The version for the next connection. `protocol` "auto" falls back; what a config fixes stays."""

    def __init__(self, protocol: Literal["auto", "5", "3.1.1"]) -> None:
        self.version: Version = "3.1.1" if protocol == "3.1.1" else "5"
        self._auto = protocol == "auto"
        self._told = False
        self._why = ""
        self._said = False

    def gives_way(self, error: BaseException) -> bool:
        """A connection ended, or did not begin. True when the older version is worth a try at once."""
        if not self._auto:
            return False
        refused = isinstance(error, MqttConnectError) and getattr(error.rc, "value", 0) == VERSION_REFUSED
        if self.version == "3.1.1":
            # A broker that only hung up may have been about to end: the next one is asked for version 5 again.
            if refused or not self._told:
                self.version = "5"
            return False
        if not refused and not isinstance(error, NoAnswer):
            return False
        self.version, self._told = "3.1.1", refused
        self._why = "it says no" if refused else "it does not answer"
        return True

    def news(self) -> str:
        """Connected: why with the older version, told once; "" otherwise."""
        if self.version == "5" or not self._auto or self._said:
            return ""
        self._said = True
        return self._why
