"""Who is logged in, and who has guessed too often: in memory, bounded, forgotten when the service ends."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_MOST_SESSIONS = 1000
_MOST_ADDRESSES = 4096
_EVERYBODY = "everybody"


class Sessions:
    """Logins by their token, of which only a digest is kept; each use makes a session last anew."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> str:
        """Begin a session; its token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._ends) >= _MOST_SESSIONS:
                self._ends.popitem(last=False)
            self._ends[_digest(token)] = self._clock() + self._seconds
        return token

    def is_open(self, token: str) -> bool:
        """Is there such a session, and has it not ended?"""
        key, now = _digest(token), self._clock()
        with self._lock:
            end = self._ends.pop(key, None)
            if end is None or end < now:
                return False
            self._ends[key] = now + self._seconds  # the last used stands last
            return True

    def end(self, token: str) -> None:
        """End a session, if there is one."""
        with self._lock:
            self._ends.pop(_digest(token), None)


class Attempts:
    """Failed logins lately, of each address and of all together."""

    def __init__(self, most: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, address: str) -> int | None:
        """Count an attempt as failed until `succeeded`; the seconds to wait instead, if there were too many."""
        now, place = self._clock(), network_of(address)
        limits = {place: self._most, _EVERYBODY: 10 * self._most}
        with self._lock:
            lately = {key: self._lately(key, now) for key in limits}
            waits = [lately[key][0] + self._seconds - now for key, most in limits.items() if len(lately[key]) >= most]
            if waits:
                return max(1, math.ceil(max(waits)))
            for times in lately.values():
                times.append(now)
        return None

    def succeeded(self, address: str) -> None:
        """The attempt that began last was right: those of this address are forgotten."""
        with self._lock:
            self._failures.pop(network_of(address), None)
            if everybody := self._failures.get(_EVERYBODY):
                everybody.pop()

    def _lately(self, key: str, now: float) -> deque[float]:
        times = self._failures.setdefault(key, deque())
        self._failures.move_to_end(key)
        while times and times[0] <= now - self._seconds:
            times.popleft()
        while len(self._failures) > _MOST_ADDRESSES:  # the total above still holds
            self._failures.popitem(last=False)
        return times


def network_of(address: str) -> str:
    """The address, or for IPv6 the network of 64 bits that one household has to choose addresses from."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
