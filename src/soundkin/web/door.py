"""Logging in: the one place where a password is looked at."""

from __future__ import annotations

import threading

from soundkin.web.failures import Refusal
from soundkin.web.passwords import is_password
from soundkin.web.sessions import Attempts, Sessions
from soundkin.web.state import State


class Door:
    """The sessions of an application, and the guesses that were wrong; a part of its state."""

    def __init__(self, state: State) -> None:
        settings = state.settings
        self.sessions = Sessions(settings.session_hours * 3600)
        self._attempts = Attempts(settings.login_attempts, settings.login_window)
        self._hash = settings.password_hash
        self._one_at_a_time = threading.Lock()  # each takes 32 MB for a tenth of a second

    def log_in(self, password: str, *, address: str) -> str:
        """The token of a new session. Raises Refusal for a wrong password, too many of them, or where none is set."""
        if self._hash is None:
            raise Refusal(409, "no-password", "this soundkin has no password: there is nothing to log in to")
        wait = self._attempts.begin(address)
        if wait is not None:
            message = f"too many wrong passwords; wait for {wait} seconds"
            raise Refusal(429, "too-many-attempts", message, headers={"Retry-After": str(wait)})
        with self._one_at_a_time:
            right = is_password(password, self._hash)
        if not right:
            raise Refusal(401, "wrong-password", "that is not the password")
        self._attempts.succeeded(address)
        return self.sessions.begin()
