"""Plan a week: its observations with their times, and its photos, which all differ and are as large as phone photos."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

from scripts.demo.scenes import draw_scene

KIB, MIB = 1024, 1024 * 1024
WEEK = timedelta(days=7)
SEGMENT_BYTES = 65_533
"""Maximum content of a JPEG segment without its header."""
HEAD_BYTES = 4
START = b"\xff\xd8"
APPLICATION = b"\xff\xef"
"""Marker of segments that every reader skips."""
LARGE_EVERY, COPY_EVERY, KILL_EVERY = 250, 50, 60
"""The intervals between large photos, between copies of the previous photo, and between killed `take` commands.

The first two are numbers of photos, the third is a number of observations.
"""
ASSIGNMENTS, RATINGS = 7, 14


@dataclass(frozen=True)
class WeekPlan:
    """The size of a week. The same plan gives the same observations and photos.

    `ordinary` and `large` are ranges of photo sizes in bytes. `width` and `height` are in pixels. `kills` says how
    often the phone is killed while it sends. `token_seconds` is the lifetime of the phone's access token.
    """

    observations: int = 500
    photos: int = 1500
    seed: int = 1
    width: int = 1280
    height: int = 960
    ordinary: tuple[int, int] = (150 * KIB, 400 * KIB)
    large: tuple[int, int] = (9 * MIB, 24 * MIB)
    kills: int = 5
    token_seconds: int = 20
    assignments: int = ASSIGNMENTS
    ratings: int = RATINGS

    def make_observations(self) -> Iterator["WeekObservation"]:
        """Yield the observations in order of time, with the photos spread evenly."""
        random = Random(self.seed)  # noqa: S311  repeatable values, no secret
        taken = 0
        for number in range(1, self.observations + 1):
            until = self.photos * number // self.observations
            shots = [self._shot(shot_number, random) for shot_number in range(taken + 1, until + 1)]
            ago = WEEK * (1 - number / self.observations)
            is_killed = bool(shots) and number % self._interval(KILL_EVERY) == 1
            yield WeekObservation(number, ago, tuple(shots), is_killed)
            taken = until

    def _shot(self, number: int, random: Random) -> "WeekShot":
        is_large = number % self._interval(LARGE_EVERY) == 2
        size = random.randint(*(self.large if is_large else self.ordinary))
        return WeekShot(number, size, is_copy=not is_large and number > 3 and number % self._interval(COPY_EVERY) == 0)

    def _interval(self, usual: int) -> int:
        """Shorten an interval for a small week, so that even a small week has large photos, copies and kills."""
        return min(usual, max(self.observations, 4))


@dataclass(frozen=True)
class WeekShot:
    """A photo. If `is_copy` is true, the photo has the same bytes as the previous photo."""

    number: int
    byte_size: int
    is_copy: bool


@dataclass(frozen=True)
class WeekObservation:
    """The input of one observation, which is taken `ago` before the end of the week.

    `is_killed` means that the first attempt to take it is killed.
    """

    number: int
    ago: timedelta
    shots: Sequence[WeekShot]
    is_killed: bool

    @property
    def text(self) -> str:
        return f"第{self.number}处：窗口排队十二人，三个窗口只开一个，工作人员离岗二十分钟，已拍照并询问值班负责人。"

    @property
    def has_copy(self) -> bool:
        return any(shot.is_copy for shot in self.shots)


@dataclass
class WeekPhotos:
    """Makes the photos, and records their total size and their digests.

    `digests` is keyed by the observation's text. Each list is in the order of the photos.
    """

    plan: WeekPlan
    folder: Path
    digests: dict[str, list[str]] = field(default_factory=dict)
    byte_size: int = 0
    _last: bytes = b""

    def write(self, observation: WeekObservation) -> list[Path]:
        """Write an observation's photos to files. The caller deletes them once the phone has them."""
        files = []
        for shot in observation.shots:
            body = self._last if shot.is_copy else self._render(shot)
            self._last = body
            files.append(self.folder / f"{shot.number:05d}.jpg")
            files[-1].write_bytes(body)
            self.digests.setdefault(observation.text, []).append(hashlib.sha256(body).hexdigest())
            self.byte_size += len(body)
        self.digests.setdefault(observation.text, [])
        return files

    def _render(self, shot: WeekShot) -> bytes:
        """Draw a scene, and fill it up to its size with random segments, which compress no better than a photo."""
        scene = draw_scene(
            self.plan.seed * 100_000 + shot.number, self.plan.width, self.plan.height, [f"{shot.number}"]
        )
        random = Random(self.plan.seed * 100_000 + shot.number)  # noqa: S311
        parts = [START]
        left = shot.byte_size - len(scene)
        while left > HEAD_BYTES:
            size = min(left - HEAD_BYTES, SEGMENT_BYTES)
            parts += [APPLICATION, (size + 2).to_bytes(2, "big"), random.randbytes(size)]
            left -= HEAD_BYTES + size
        return b"".join([*parts, scene.removeprefix(START)])
