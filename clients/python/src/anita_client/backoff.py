"""How long to wait before coming back."""

from __future__ import annotations

from collections.abc import Callable

# The longest pause before the first attempt, and before any, in seconds.
FIRST_S = 0.5
LONGEST_S = 20.0

# So much longer than the server says, at most: all its clients come back, and not at one moment.
SPREAD = 0.3

# A number of [0, 1).
Random = Callable[[], float]


def pause(attempt: int, random: Random) -> float:
    """Full jitter: a random time between 0 and `min(20 s, 0.5 s · 2ⁿ)`, the first time too."""
    # Beyond 2^16 the power only grows, and the pause does not.
    return random() * min(LONGEST_S, FIRST_S * 2.0 ** min(attempt, 16))


def obeyed(retry_after: float, random: Random) -> float:
    """The time the server named, and up to 30 % more."""
    return retry_after * (1 + SPREAD * random())
