"""Who opticd is towards a device: a community, or an SNMPv3 user whose passwords come from files."""

import logging
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.errors import ConfigError
from agent.sources import Options
from drivers.snmp.protocols import AUTH_PROTOCOLS, PRIV_PROTOCOLS, AuthProtocol, PrivProtocol
from drivers.snmp.security import Community, Security, User, Usm

_log = logging.getLogger(__name__)

_AUTH: Final[dict[str, AuthProtocol]] = {name: name for name in AUTH_PROTOCOLS}
_PRIV: Final[dict[str, PrivProtocol]] = {name: name for name in PRIV_PROTOCOLS}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Either `community` (SNMPv2c) or `user` (SNMPv3)."""

    community: str = field(default="public", repr=False)
    user: User | None = None

    def security(self) -> Security:
        """A fresh security state for one device."""
        return Usm(self.user) if self.user is not None else Community(self.community)

    @classmethod
    def from_options(cls, options: Options) -> "Credentials":
        """From a source name: `community`, or `user` with `auth`, `priv` and the files of their passwords."""
        community = options.text("community") or secret(options.text("community_file")) or "public"
        user = options.text("user")
        auth, priv = options.text("auth"), options.text("priv")
        auth_file, priv_file = options.text("auth_password_file"), options.text("priv_password_file")
        context = options.text("context")
        if not user:
            if auth or priv:
                raise ConfigError("snmp: auth and priv belong to a user of SNMPv3", hint="add user=NAME")
            return cls(community=community)
        made = make_user(
            user,
            auth=auth,
            auth_password=secret(auth_file),
            priv=priv,
            priv_password=secret(priv_file),
            context=context,
        )
        return cls(user=made)


def make_user(
    name: str, *, auth: str, auth_password: str, priv: str, priv_password: str, context: str = ""
) -> User:
    """An SNMPv3 user. Raises ConfigError for a protocol that is not known."""
    auth_protocol, priv_protocol = _AUTH.get(auth), _PRIV.get(priv)
    if auth and auth_protocol is None:
        raise ConfigError(f"snmp: auth={auth}: one of {', '.join(AUTH_PROTOCOLS)} is expected")
    if priv and priv_protocol is None:
        raise ConfigError(f"snmp: priv={priv}: one of {', '.join(PRIV_PROTOCOLS)} is expected")
    return User(
        name,
        auth=auth_protocol,
        auth_password=auth_password,
        priv=priv_protocol,
        priv_password=priv_password,
        context=context,
    )


def secret(path: str | Path) -> str:
    """The first line of a file; empty when no file is named. Raises ConfigError."""
    if not str(path):
        return ""
    try:
        if Path(path).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            _log.warning("%s: others may read this secret", path)
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        hint = "its first line is the community or password; the user that runs opticd has to be able to read it"
        raise ConfigError(f"{path}: {getattr(exc, 'strerror', None) or 'not UTF-8 text'}", hint=hint) from exc
    line = text.partition("\n")[0].strip()
    if not line:
        raise ConfigError(f"{path}: the file is empty", hint="its first line is the secret")
    return line
