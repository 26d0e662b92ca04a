"""Clips that are not in the manifest although they were, or although their files can be read."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from video_assets.domain.clips import DECODER_REASONS, REMEMBERED_REASONS, LeftOut, Loss, LostSource, SourceWarning
from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.domain.text import counted, sequence_of
from video_assets.pipeline.classes import class_counts
from video_assets.pipeline.splits.components import same_contents
from video_assets.sources.source_clips import MISSING_REASON, SourceClips
from video_assets.sources.tree import is_table, place_of_setting
from video_assets.storage.tables import QUARANTINE, are_among, read_noted_table

STILL_WRITTEN = "new or still being written; the next look takes it"
"""Why a file that did not stand still is left out."""

_WHOLE = {"start_seconds": -1.0, "end_seconds": -1.0}


EXCLUDED = "named by manifest.exclude"


def without_excluded(source: Path, asked: SourceClips, setting: str) -> SourceClips:
    """Leave out the clips that a file names, by the path of the video or by the clip's own id, a line each.

    Raises:
        SettingsError: If the file is not there or cannot be read.
    """
    if not setting:
        return asked
    wanted = _listed(_file_of(source, setting), setting)
    names = [{_composed(clip.clip_id), _composed(clip.file.path)} for clip in asked.clips]
    are_wanted = [bool(several & wanted) for several in names]
    asked.left_out += [LeftOut(c.clip_id, EXCLUDED) for c, out in zip(asked.clips, are_wanted, strict=True) if out]
    asked.clips = [clip for clip, out in zip(asked.clips, are_wanted, strict=True) if not out]
    known = {_composed(item.source) for item in asked.lost}.union(*names)
    asked.lost = [item for item in asked.lost if _composed(item.source) not in wanted]
    if unknown := sorted(wanted - known):
        detail = (
            f"{counted(len(unknown), 'line')} of manifest.exclude {'name' if len(unknown) > 1 else 'names'} no clip of "
            f"the source: {sequence_of(unknown)}"
        )
        asked.warnings.append(SourceWarning("not_excluded", setting, detail, len(unknown)))
    return asked


def excluding(source: Path, setting: str) -> str:
    """Return the setting as a dataset notes it: a relative path only if the file is beside the source."""
    if not setting or (_folder_of(source) / setting).is_file():
        return setting
    return str(_file_of(source, setting).absolute())


def _file_of(source: Path, setting: str) -> Path:
    return place_of_setting(_folder_of(source), setting)


def _folder_of(source: Path) -> Path:
    return source.parent if is_table(source) else source


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _listed(file: Path, setting: str) -> set[str]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"manifest.exclude: {setting} cannot be read ({error}); name a text file with a path or an id a line, or "
            "set manifest.exclude to nothing to take all clips again"
        ) from error
    names = (_composed(line.strip()).removeprefix("./") for line in lines)
    return {name for name in names if name and not name.startswith("#")}


def gone_clips(previous: pd.DataFrame, asked: SourceClips, clips: pd.DataFrame) -> list[str]:
    """Return the ids of earlier clips that leave: the source has them no more, or its settings do not ask for them.

    A clip that has another name now did not leave. Nor did one that is asked for and cannot be used: the quarantine
    names it, and has a budget of its own.
    """
    lost = {item.source for item in asked.lost if item.loss.reason != MISSING_REASON}
    waiting = {item.source for item in asked.left_out if item.reason == STILL_WRITTEN}
    unnamed = previous[~are_among(previous["clip_id"], {clip.clip_id for clip in asked.clips} | lost)]
    unnamed = unnamed[~unnamed["clip_id"].map(_video_of).isin(waiting)]
    contents = set(_contents(clips)) if len(unnamed) else set()
    return sorted(i for i, key in zip(unnamed["clip_id"], _contents(unnamed), strict=True) if key not in contents)


def _video_of(clip_id: str) -> str:
    """Return the file of a clip by its name, which has the span behind it."""
    return re.split("#t=|#frame=", clip_id)[0]


def _contents(clips: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """What a clip is but for its name: content and span."""
    return clips[["content_hash", *_WHOLE]].fillna(_WHOLE).itertuples(index=False, name=None)


def with_spans(committed: pd.DataFrame, previous: pd.DataFrame) -> pd.DataFrame:
    """Return committed clips with the spans that the manifest knows of them."""
    spans = previous[["clip_id", *_WHOLE]].drop_duplicates("clip_id")
    return committed.merge(spans, on="clip_id", how="left")


def refuse_removal(
    source: Path, committed: pd.DataFrame, gone: Sequence[str], *, allowed: float, multi_label: bool
) -> None:
    """Refuse that many clips leave at once, or all of a class: a disk that is not mounted looks like a deletion.

    Raises:
        BuildRefused: with what would leave, and how to allow it for one run.
    """
    if not gone or allowed >= 1:
        return
    if len(gone) == len(committed):
        what = (
            f"none of the {len(gone)} clips of the dataset is in the source {source}, such as {gone[0]}. Name the "
            "source that it was built from, or another root or name for a dataset of these videos"
        )
    else:
        is_gone = committed["clip_id"].isin(gone)
        before = class_counts(committed, multi_label=multi_label)
        leaving = class_counts(committed[is_gone], multi_label=multi_label)
        whole = [name for name, number in leaving.items() if number == before[name]]
        if not whole and len(gone) <= allowed * len(committed):
            return
        classes = f", all of the {'class' if len(whole) == 1 else 'classes'} {sequence_of(whole)} among them"
        what = (
            f"{len(gone)} of the {len(committed)} clips of the dataset ({len(gone) / len(committed):.1%}) would leave "
            f"it{classes if whole else ''}, such as {gone[0]}: they are not in the source {source} any more, or "
            f"manifest.include or manifest.exclude leaves them out. At most {allowed:.1%} may leave in one run, and "
            "never a whole class. Put them back or mount their disk"
        )
    raise BuildRefused(
        f"{what}. If they are to leave, allow it for one run: video-assets build --set manifest.max_removed_fraction=1"
    )


def without_truncated(clips: pd.DataFrame, min_fraction: float) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips of videos of which less can be read than the least share of what their container says."""
    is_short = (clips["readable_fraction"] < min_fraction).to_numpy(dtype=bool, na_value=False)
    lost = [
        LostSource(
            row["clip_id"],
            Loss(
                "truncated",
                f"only {row['duration_us'] / 1e6:.2f} s of it can be read, {row['readable_fraction']:.0%} of what its "
                f"container says; manifest.min_readable_fraction is {min_fraction:g}",
            ),
            row["label"],
        )
        for _, row in clips[is_short].iterrows()
    ]
    return clips[~is_short], lost


def without_bad_spans(clips: pd.DataFrame) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips whose span begins after the end of their video."""
    durations = clips["duration_us"].astype("float64") / 1e6
    is_bad = (clips["start_seconds"] >= durations).to_numpy(dtype=bool, na_value=False)
    lost = [
        LostSource(
            row["clip_id"],
            Loss("bad_span", f"it starts at {row['start_seconds']:g} s, the video ends at {end:g} s"),
            row["label"],
        )
        for (_, row), end in zip(clips[is_bad].iterrows(), durations[is_bad], strict=True)
    ]
    return clips[~is_bad], lost


def without_conflicts(clips: pd.DataFrame, *, multi_label: bool) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips whose content stands under several labels: nobody can say which is right.

    Copies in other containers count, unless one shows only some of the frames.
    """
    columns = ["content", "num_frames", "start_seconds", "end_seconds"]
    keyed = clips.assign(content=same_contents(clips))
    same = keyed.groupby(columns, dropna=False, sort=False)
    is_conflict = (same["label"].transform("nunique") > 1).to_numpy(dtype=bool) if len(clips) else np.zeros(0, bool)
    lost: list[LostSource] = []
    what = "sets of labels" if multi_label else "labels"
    for _, rows in keyed[is_conflict].groupby(columns, dropna=False):
        places = "; ".join(
            f"{label}: {clip_id}" for label, clip_id in sorted(zip(rows["label"], rows["clip_id"], strict=True))
        )
        detail = f"the same content stands under {rows['label'].nunique()} {what} ({places})"
        loss = Loss("label_conflict", detail)
        lost += [LostSource(c, loss, label) for c, label in zip(rows["clip_id"], rows["label"], strict=True)]
    return clips[~is_conflict], lost


_DECODER_NOTE = "decoder"


def decoder_notes() -> Mapping[str, str]:
    """What the quarantine notes of the decoder that its files were opened with: the version of PyAV, FFmpeg inside."""
    return {_DECODER_NOTE: version("av")}


def remembered_losses(quarantine: Path) -> dict[tuple[str, int, int], Loss]:
    """Losses of files by path, size and time.

    What another decoder said, or one that an earlier version of this package did not note, is asked once more.
    """
    rows, notes = read_noted_table(quarantine, QUARANTINE)
    is_same_decoder = decoder_notes().items() <= (notes or {}).items()
    reasons = REMEMBERED_REASONS if is_same_decoder else REMEMBERED_REASONS - DECODER_REASONS
    stage = "refused" if (rows["stage"] == "refused").any() else "manifest"  # what was looked at last
    rows = rows[(rows["stage"] == stage) & rows["reason"].isin(reasons) & (rows["size_bytes"] >= 0)]
    paths = (_video_of(str(source)) for source in rows["source"])
    keys = zip(paths, rows["size_bytes"].tolist(), rows["mtime_ns"].tolist(), strict=True)
    return {key: Loss(r, d) for key, r, d in zip(keys, rows["reason"], rows["detail"], strict=True)}
