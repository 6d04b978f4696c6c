"""What a soak is judged by: the same rules as in `e2e/soak/plan.ts`."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """What a figure may be higher at the end than at the beginning: by a share, and by so many of its unit on top."""

    share: float
    more: float


@dataclass(frozen=True)
class Course:
    """What became of a figure: the medians of the first and of the last quarter of its samples."""

    name: str
    first: float
    last: float
    most: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        return self.last <= self.allowed

    def __str__(self) -> str:
        verdict = "" if self.is_flat else ": NOT FLAT"
        numbers = (self.first, self.last, self.allowed, self.most)
        first, last, allowed, most = (f"{round(number, 2):g}" for number in numbers)
        return f"soak: {self.name}: {first} at first, {last} at last ({allowed} allowed), {most} at most{verdict}"


def course(name: str, samples: Sequence[float], bound: Bound) -> Course:
    if len(samples) < 4:
        raise ValueError(f"{name}: {len(samples)} samples have no quarters")
    quarter = len(samples) // 4
    first, last = statistics.median(samples[:quarter]), statistics.median(samples[-quarter:])
    return Course(name, first, last, max(samples), first * (1 + bound.share) + bound.more)


def minutes() -> float:
    """The test command runs half a minute; `cargo xtask nightly soak --minutes 10` says `ANITA_SOAK_MINUTES=10`."""
    return float(os.environ.get("ANITA_SOAK_MINUTES", "0.5"))


def kills(minutes: float) -> int:
    return max(4, round(5 * minutes))
