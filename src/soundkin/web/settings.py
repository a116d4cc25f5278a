"""How the service is run: where it listens, who may ask, how much it takes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from soundkin.errors import InputError

MEGABYTE = 1_000_000
PORT = 8765
"""Where the service listens unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Raises InputError for a host that others can reach when no password is set."""

    host: str = "127.0.0.1"
    """Address that the service listens on."""
    port: int = PORT
    password_hash: str | None = None
    """As `soundkin.web.passwords.hash_password` gives it; None: whoever reaches the service may use it."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, beside this computer's own, that browsers may reach the service by."""
    https: bool = False
    """A proxy in front speaks https: cookies are then for https alone."""
    max_upload: int = 300 * MEGABYTE
    """Bytes of a file that is asked about."""
    upload_time_limit: float = 120.0
    """Seconds that the analysis of such a file may take."""
    most_transcodes: int = 8
    """Songs that are transcoded at the same time."""
    session_hours: float = 24 * 14
    """How long a login lasts after it was last used."""
    login_attempts: int = 5
    """Wrong passwords that one address, and ten times as many that all together, may give in `login_window` seconds."""
    login_window: float = 300.0

    def __post_init__(self) -> None:
        if self.password_hash is None and not is_loopback(self.host):
            raise InputError(
                f"listening on {self.host} lets others reach your music, so it needs a password: name a file that "
                "holds one with --password-file FILE, or leave --host out to be reached from this computer alone"
            )


def is_loopback(host: str) -> bool:
    """Does `host` name this computer alone?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
