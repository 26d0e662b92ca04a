"""Files that were found unusable before, and need not be opened again as long as they are the same."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from video_assets.domain.losses import DECODER_REASONS, REMEMBERED_REASONS, Loss
from video_assets.storage.schemas import QUARANTINE
from video_assets.storage.tables import read_noted_table

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
    paths = (str(source).partition("#t=")[0] for source in rows["source"])
    keys = zip(paths, rows["size_bytes"].tolist(), rows["mtime_ns"].tolist(), strict=True)
    return {key: Loss(r, d) for key, r, d in zip(keys, rows["reason"], rows["detail"], strict=True)}
