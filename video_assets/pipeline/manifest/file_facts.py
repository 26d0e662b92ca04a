"""Open the files that are new, and give every wanted clip the facts of its file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from video_assets.domain.clips import ListedFile, Loss, LostSource, WantedClip
from video_assets.domain.progress import Progress
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.manifest.excluded import without_bad_spans, without_truncated
from video_assets.settings import Limits, ManifestSettings
from video_assets.sources.source_clips import SourceClips
from video_assets.storage.addresses import is_remote
from video_assets.storage.tables import FACTS_FIELDS, MANIFEST, TEXT

if TYPE_CHECKING:
    from video_assets.pipeline.manifest.probing import FileFacts

FILE_COLUMNS = ["path", "size_bytes", "mtime_ns"]
"""What tells that a file is still the one that was opened."""
FACTS_COLUMNS = [name for name, _ in FACTS_FIELDS]
_MAX_DENOMINATOR: Final = 1001
"""Of a rate in frames per second: 30000/1001 is NTSC's. Mean rates of rounded times are brought back to such ones."""


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """Files that were opened before by the same version of the encoder: rows of clips, and losses by their file."""

    rows: pd.DataFrame
    losses: Mapping[tuple[str, int, int], Loss]
    encoder_version: int


@dataclass(frozen=True, slots=True)
class OpenedFiles:
    """Clips with the facts of their files, one row each; those that are lost; how many files were opened, and not."""

    clips: pd.DataFrame
    lost: Sequence[LostSource]
    num_probed: int
    num_reused: int


def open_new_files(
    asked: SourceClips, known: KnownFiles, settings: ManifestSettings, make_pool: PoolMaker, progress: Progress
) -> OpenedFiles:
    """Open each file that is not known, in decoding processes."""
    wanted = _wanted_frame(asked.clips)
    rows = known.rows[[*FILE_COLUMNS, "content_hash", *FACTS_COLUMNS]].drop_duplicates("path")
    clips = wanted.merge(rows, on=FILE_COLUMNS, how="left")
    is_new = clips["content_hash"].isna()
    files = {clip.file.path: clip.file for clip in asked.clips}
    losses = {file[0]: loss for file, loss in known.losses.items() if files.get(file[0]) == ListedFile(*file)}
    to_probe = [files[path] for path in sorted(set(clips.loc[is_new, "path"]) - losses.keys())]
    opening = _Opening(asked.directory, settings.limits, known.encoder_version, follow_links=settings.follow_links)
    found = _probe(to_probe, opening, make_pool, progress)
    facts = {path: result for path, result in found.items() if not isinstance(result, Loss)}
    losses |= {path: result for path, result in found.items() if isinstance(result, Loss)}
    clips = pd.concat([clips[~is_new], _with_facts(wanted[is_new.to_numpy()], facts)], ignore_index=True)
    clips, truncated = without_truncated(_with_seconds(clips, asked.clips), settings.min_readable_fraction)
    clips, bad_spans = without_bad_spans(clips)
    unusable = (clip for clip in asked.clips if clip.file.path in losses)
    lost = [LostSource(clip.clip_id, losses[clip.file.path], clip.label) for clip in unusable]
    return OpenedFiles(clips, [*lost, *truncated, *bad_spans], len(to_probe), len(files) - len(to_probe))


def _wanted_frame(clips: Sequence[WantedClip]) -> pd.DataFrame:
    columns = {
        "clip_id": [clip.clip_id for clip in clips],
        "path": [clip.file.path for clip in clips],
        "label": [clip.label for clip in clips],
        "group": [clip.group for clip in clips],
        "official_split": [clip.official_split for clip in clips],
        "caption": [clip.caption for clip in clips],
        "start_seconds": [clip.start_seconds for clip in clips],
        "end_seconds": [clip.end_seconds for clip in clips],
        "size_bytes": [clip.file.size_bytes for clip in clips],
        "mtime_ns": [clip.file.mtime_ns for clip in clips],
    }
    numbers = ("size_bytes", "mtime_ns", "start_seconds", "end_seconds")
    kinds = {name: MANIFEST.field(name).type.to_pandas_dtype() if name in numbers else TEXT for name in columns}
    return pd.DataFrame(columns).astype(kinds)


@dataclass(frozen=True, slots=True)
class _Opening:
    """Where files are opened, and how."""

    directory: Path
    limits: Limits
    encoder_version: int
    follow_links: bool


def _probe(
    files: Sequence[ListedFile], opening: _Opening, make_pool: PoolMaker, progress: Progress
) -> "dict[str, FileFacts | Loss]":
    if not files:
        return {}
    from video_assets.pipeline.manifest.probing import ProbeJob, fetch_file, probe_file

    results: dict[str, FileFacts | Loss] = {}
    counted = progress("probing", len(files), sum(file.size_bytes for file in files))
    jobs = (
        ProbeJob(opening.directory, file, opening.limits, opening.encoder_version, follow_links=opening.follow_links)
        for file in files
    )
    with make_pool() as pool:
        for result in pool.map(probe_file, jobs, fetch=fetch_file if is_remote(opening.directory) else None):
            results[result.job.file.path] = result.outcome
            counted(1, result.job.file.size_bytes)
    return results


def _with_facts(wanted: pd.DataFrame, facts: "dict[str, FileFacts]") -> pd.DataFrame:
    """The wanted clips whose files have facts, with these."""
    rows = wanted[wanted["path"].isin(facts.keys())]
    found = [facts[path] for path in rows["path"]]
    columns = pd.DataFrame(
        [{"content_hash": item.content_hash, **asdict(item.video)} for item in found],
        columns=["content_hash", *FACTS_COLUMNS],
        index=rows.index,
    )
    return pd.concat([rows, columns], axis=1)


def _with_seconds(clips: pd.DataFrame, asked: Sequence[WantedClip]) -> pd.DataFrame:
    """Return the clips with spans of frames as seconds, at the rate of each opened video."""
    in_frames = {clip.clip_id: clip for clip in asked if clip.start_frame is not None or clip.end_frame is not None}
    if not in_frames:
        return clips
    clips = clips.copy()
    for place in clips.index[clips["clip_id"].isin(in_frames.keys())]:
        rate = Fraction(float(clips.at[place, "frame_rate"])).limit_denominator(_MAX_DENOMINATOR)
        if rate > 0:  # of a picture alone, all of it is the clip
            clip = in_frames[str(clips.at[place, "clip_id"])].at_rate(rate)
            clips.at[place, "start_seconds"] = clip.start_seconds
            clips.at[place, "end_seconds"] = clip.end_seconds
    return clips
