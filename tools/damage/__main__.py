"""Try damaged videos: `python -m tools.damage --files 300`; exit code 1 if any is stored wrongly without a word."""

import argparse
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tools.damage.making import CONTAINERS, KINDS, OTHER_CONTAINERS, sound_video
from video_assets.domain.checks import frame_mse, psnr_from_mse
from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline, choose_timestamps
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.decode.sequential import decode_sequentially
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS

LEAST_DB: Final = 30.0
SIZE: Final = FrameSize("stretch", 128)
SAMPLINGS: Final[dict[str, tuple[Encoding, float | None, float | None]]] = {
    "uniform": (Encoding(), None, None),
    "segments": (Encoding(sampling="segments", num_frames=6), None, None),
    "fps": (Encoding(sampling="fps", fps=5.0), None, None),
    "all": (Encoding(sampling="all"), None, None),
    "span": (Encoding(num_frames=5), 0.9, 1.7),
}
NUM_SCENES: Final = 3


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a damaged video: lost, warned, right or silent, with the reason or the worst frame's PSNR."""

    outcome: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One damaged video and how it is sampled; the seed decides its scene and its damage."""

    codec: str
    container: str
    kind: str
    sampling: str
    seed: int

    def video(self) -> bytes:
        """Return the damaged file."""
        chance = random.Random(f"{self.kind} {self.codec} {self.container} {self.seed}")
        return KINDS[self.kind](sound_video(self.codec, self.container, self.seed % NUM_SCENES), chance)


def cases(
    kind: str, num_files: int, seed: int, containers_of: Mapping[str, Sequence[str]] = CONTAINERS
) -> Iterator[Case]:
    """Yield so many cases of one kind of damage, over all codecs, containers and samplings in turn."""
    places = [(codec, container) for codec, containers in containers_of.items() for container in containers]
    for number in range(num_files):
        codec, container = places[number % len(places)]
        sampling = list(SAMPLINGS)[number // len(places) % len(SAMPLINGS)]
        yield Case(codec, container, kind, sampling, seed + number)


def try_case(case: Case) -> Tried:
    """Probe and decode a damaged video as a build does, and compare what would be stored with the sound video."""
    video = case.video()
    encoding, start, end = SAMPLINGS[case.sampling]
    try:
        facts = probe_video(video)
        if facts.readable_fraction < DEFAULT_LIMITS.min_readable_fraction:
            return Tried("lost", "truncated")
        stored = decode_clip(video, lambda timeline: choose_timestamps(timeline, encoding, start, end).tolist(), SIZE)
    except VideoLost as lost:
        return Tried("lost", lost.loss.reason)
    timeline, pictures = _sound_frames(case.codec, case.container, case.seed % NUM_SCENES)
    places = np.searchsorted(timeline.starts_us, stored.timestamps_us + 1000, side="right") - 1
    places = np.clip(places, 0, len(pictures) - 1)
    worst_db = min(
        psnr_from_mse(frame_mse(frame, pictures[place])) for frame, place in zip(stored.frames, places, strict=True)
    )
    warned = [name for name, is_so in (("truncated", facts.readable_fraction < 1), ("gap", facts.gap_us > 0)) if is_so]
    if warned:
        return Tried("warned", warned[0])
    return Tried("right" if worst_db >= LEAST_DB else "silent", f"{worst_db:.1f} dB")


@cache
def _sound_frames(codec: str, container: str, seed: int) -> tuple[Timeline, NDArray[np.uint8]]:
    decoded = decode_sequentially(
        sound_video(codec, container, seed), lambda timeline: timeline.starts_us.tolist(), SIZE, DEFAULT_LIMITS, ""
    )
    return decoded.timeline, decoded.frames


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all kinds, print a table, and name the seeds of what was stored wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tools.damage", description=__doc__)
    parser.add_argument("--files", type=int, default=300, help="of each kind of damage; default: 300")
    parser.add_argument("--kinds", default=",".join(KINDS), help="names with commas between; default: all")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--others", action="store_true", help="streams with other options, and older codecs")
    options = parser.parse_args(arguments)
    begun, silent = time.monotonic(), list[tuple[Case, Tried]]()
    print("| damage | codec | files | lost | warned | right | silent |\n| --- | --- | --- | --- | --- | --- | --- |")
    for kind in options.kinds.split(","):
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for case in cases(kind, options.files, options.seed, OTHER_CONTAINERS if options.others else CONTAINERS):
            tried = try_case(case)
            counts[case.codec][tried.outcome] += 1
            silent += [(case, tried)] if tried.outcome == "silent" else []
        for codec, found in counts.items():
            numbers = " | ".join(str(found[name]) for name in ("lost", "warned", "right", "silent"))
            print(f"| {kind} | {codec} | {found.total()} | {numbers} |", flush=True)
    for case, tried in silent:
        print(f"{case}: {tried.detail}")
    print(f"{len(silent)} stored wrongly without a word; {time.monotonic() - begun:.0f} s")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
