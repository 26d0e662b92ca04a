"""Stage 1: list the source, open what is new, and write down every clip that can be used."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd

from video_assets.domain.clips import LeftOut, ListedFile
from video_assets.domain.errors import BuildRefused
from video_assets.domain.hashing import json_digest
from video_assets.domain.labels import append_labels, in_fixed_order
from video_assets.domain.progress import Progress, silent
from video_assets.domain.text import counted
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.classes import LABELS_NOTE, class_counts, known_labels, labels_data
from video_assets.pipeline.dataset_state import committed_clips, refuse_lost
from video_assets.pipeline.manifest.excluded import (
    STILL_WRITTEN,
    decoder_notes,
    excluding,
    gone_clips,
    refuse_removal,
    remembered_losses,
    with_spans,
    without_conflicts,
    without_excluded,
)
from video_assets.pipeline.manifest.file_facts import FILE_COLUMNS, KnownFiles, open_new_files
from video_assets.pipeline.manifest.manifest_table import (
    NotedReading,
    reading_note,
)
from video_assets.pipeline.manifest.new_files import settled_files
from video_assets.pipeline.noted_settings import (
    GIVEN_SOURCE_NOTE,
    SOURCE_NOTE,
    PinnedSettings,
    encoder_version_of,
    settings_note,
)
from video_assets.settings import ManifestSettings
from video_assets.sources.doubts import refuse_misread, why_empty
from video_assets.sources.listing import NOT_LISTED, NOT_SEEN
from video_assets.sources.read import read_source
from video_assets.sources.source_clips import MISSING_REASON, SourceClips
from video_assets.storage.files import remove_temporaries, write_if_changed
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import quarantine_rows, replace_stage
from video_assets.storage.tables import LEFT_OUT, MANIFEST, empty_table, read_noted_table, rows_digest, write_table

_ENCODER_NOTE = "encoder_version"


@dataclass(slots=True)
class ManifestReport:
    """What the stage did. `clips` is the manifest, one row per clip; `gone` are ids that only the last one has."""

    clips: pd.DataFrame
    labels: list[str]
    multi_label: bool = False
    num_files_probed: int = 0
    num_files_reused: int = 0
    lost: pd.DataFrame = field(default_factory=pd.DataFrame)
    left_out: Sequence[LeftOut] = ()
    gone: Sequence[str] = ()
    reading: NotedReading = field(default_factory=NotedReading)

    @property
    def num_failed(self) -> int:
        """Lost clips, without those that have no file: they have a budget of their own."""
        return int((self.lost["reason"] != MISSING_REASON).sum()) if len(self.lost) else 0

    @property
    def failed_fraction(self) -> float:
        """Lost clips of all that have a file."""
        return self.num_failed / max(1, self.num_failed + len(self.clips))

    def data_version(self) -> str:
        """Return a hash of the manifest's rows and classes."""
        return json_digest([rows_digest(self.clips), self.labels])

    def without_clips(self) -> "ManifestReport":
        """Return it without the clips, which the table on disk has: those of a large dataset fill the memory."""
        return replace(self, clips=empty_table(MANIFEST))


_SPANS_REMEDY = (
    "if the videos are cut to their clips already, the times are of the videos before that: leave the times out of the "
    'table, set manifest.columns: {start: "", end: ""}, or manifest.source_format: folders (or split_folders) where '
    "folders are the classes"
)
"""Of a set none of whose spans is in its video."""


class TooManyLost(BuildRefused):
    """More clips cannot be used than may be. `found` says so, `remedy` what to do; the quarantine names all of them."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found} All are named in quarantine.parquet; {remedy}.")
        self.found = found
        self.remedy = remedy


def build_manifest(
    source: Path,
    paths: DatasetPaths,
    settings: ManifestSettings,
    make_pool: PoolMaker,
    progress: Progress = silent,
    *,
    asked: SourceClips | None = None,
    new_version: bool = False,
    version_source: DatasetPaths | None = None,
) -> ManifestReport:
    """Writes `manifest.parquet`, `labels.txt`, `left_out.parquet` and the manifest's part of the quarantine.

    Only files that are new or changed (size or time) are opened; all of them where the plan goes on under another
    version of the encoder, which reads videos differently: with `new_version`, under the newest. The result does not
    depend on the order in which the source lists its files. `asked` is what was read of the source, if that was done.
    `version_source` is where commits are, if that is another place.

    Raises:
        SettingsError: if the source cannot be read.
        BuildRefused: if the source asks for nothing, or if more committed clips would leave than may.
        TooManyLost: if more than the allowed fraction of its clips is lost; the quarantine is written before.
        FileDamaged: if the manifest before it or `labels.txt` is not as it was written, or is lost.
    """
    asked = asked or read_source(source, settings)
    pinned = PinnedSettings.of_plan(paths)
    _refuse_single_labels(paths, pinned, settings)
    encoder_version = encoder_version_of(pinned, new_version=new_version)
    previous, previous_notes = read_noted_table(paths.manifest, MANIFEST)
    if previous_notes is None:
        refuse_lost(paths, paths.manifest)
    known = known_labels(paths, previous_notes)
    refuse_misread(asked, settings, known)
    remove_temporaries(paths.directory)
    asked = without_excluded(source, asked, settings.exclude)
    if settings.only_settled:
        asked = _without_moving(asked, settled_files(paths), previous)
    if sentence := why_empty(source, asked, len(previous)):
        raise BuildRefused(sentence)
    _refuse_unlisted(asked, previous)
    is_read_alike = (previous_notes or {}).get(_ENCODER_NOTE, "1") == str(encoder_version)
    rows = previous if is_read_alike else previous.iloc[:0]
    known_files = KnownFiles(rows, remembered_losses(paths.quarantine), encoder_version)
    opened = open_new_files(asked, known_files, settings, make_pool, progress)
    clips = opened.clips
    report = ManifestReport(
        clips,
        [],
        num_files_probed=opened.num_probed,
        num_files_reused=opened.num_reused,
        gone=gone_clips(previous, asked, clips),
        reading=NotedReading.of(asked),
    )
    committed = with_spans(committed_clips(version_source or paths, previous), previous)
    leaving = gone_clips(committed, asked, clips)
    allowed = settings.max_removed_fraction
    refuse_removal(source, committed, leaving, allowed=allowed, multi_label=settings.multi_label)
    if len(report.gone) == len(previous):  # also of a build that was never committed
        refuse_removal(source, previous, report.gone, allowed=allowed, multi_label=settings.multi_label)
    clips, conflicts = without_conflicts(clips, multi_label=settings.multi_label)
    files = {name: clip.file for clip in asked.clips for name in (clip.clip_id, clip.file.path)}
    report.lost = quarantine_rows([*asked.lost, *opened.lost, *conflicts], files)
    is_refused = report.failed_fraction > settings.max_failed_fraction or clips.empty
    # What was accepted before stays, and with it the plan that was made of it, which may still wait for its commit.
    replace_stage(paths.quarantine, "refused" if is_refused else "manifest", report.lost, decoder_notes())
    write_table(
        paths.left_out, pd.DataFrame([asdict(item) for item in asked.left_out], columns=LEFT_OUT.names), LEFT_OUT
    )
    report.left_out = asked.left_out
    report.clips = clips.sort_values("clip_id", kind="stable", ignore_index=True)
    if is_refused:
        raise _too_many_lost(report, settings.max_failed_fraction)
    report.multi_label = settings.multi_label
    first = in_fixed_order(known, asked.class_order)
    report.labels = append_labels(first, class_counts(clips, multi_label=settings.multi_label))
    write_if_changed(paths.labels, labels_data(report.labels))  # before its second copy; see `known_labels`
    notes = {
        SOURCE_NOTE: str((asked.directory if settings.videos else source).absolute()),
        GIVEN_SOURCE_NOTE: str(source.absolute()),
        **settings_note(settings.replace(exclude=excluding(source, settings.exclude))),
        LABELS_NOTE: json.dumps(report.labels),
        **reading_note(report.reading),
        _ENCODER_NOTE: str(encoder_version),
    }
    write_table(paths.manifest, report.clips, MANIFEST, notes)
    return report


def _refuse_single_labels(paths: DatasetPaths, pinned: PinnedSettings | None, settings: ManifestSettings) -> None:
    """Label sets must not become classes of their own: `labels.txt` would keep them for ever."""
    if pinned is not None and pinned.encoding.multi_label and not settings.multi_label:
        raise BuildRefused(
            f"the clips of {paths.name} have several labels, but manifest.multi_label is false now; "
            "set manifest.multi_label: true, or build another dataset under another name"
        )


def _without_moving(asked: SourceClips, settled: set[ListedFile], previous: pd.DataFrame) -> SourceClips:
    """Leaves out files that did not stand still between two looks: they may be half copied.

    One that is as the manifest before saw it counts as unchanging.
    """
    moving = {clip.file for clip in asked.clips if clip.file not in settled}
    rows = previous.loc[previous["path"].isin([file.path for file in moving]), FILE_COLUMNS]
    moving -= {ListedFile(*values) for values in rows.itertuples(index=False, name=None)}
    paths = sorted({file.path for file in moving})
    asked.left_out += [LeftOut(path, STILL_WRITTEN) for path in paths]
    asked.clips = [clip for clip in asked.clips if clip.file not in moving]
    return asked


def _refuse_unlisted(asked: SourceClips, previous: pd.DataFrame) -> None:
    """What cannot be listed or looked at is not gone; where no clip came from may be anybody's."""
    for item in [item for item in asked.left_out if item.reason.startswith((NOT_LISTED, NOT_SEEN))]:
        place = item.source.rstrip("/")
        num_known = int(((previous["path"] == place) | previous["path"].str.startswith(f"{place}/")).sum())
        if num_known:
            raise BuildRefused(
                f"of the source, {item.source}: {item.reason}; the dataset knows {counted(num_known, 'clip')} in it, "
                "not taken for deleted: make it readable, or remove it"
            )


def _too_many_lost(report: ManifestReport, allowed: float) -> TooManyLost:
    failed = report.lost[report.lost["reason"] != MISSING_REASON]
    failed = failed if len(failed) else report.lost
    num_lost, num_asked = len(failed), len(failed) + len(report.clips)
    reasons = ", ".join(f"{reason} {count}" for reason, count in failed["reason"].value_counts().items())
    first = failed.iloc[0]
    remedy = "fix or remove them, or raise manifest.max_failed_fraction" if len(report.clips) else "fix them"
    if report.clips.empty and (failed["reason"] == "bad_span").all():
        remedy = _SPANS_REMEDY
    return TooManyLost(
        f"{num_lost} of {counted(num_asked, 'clip')} ({num_lost / num_asked:.1%}) cannot be used ({reasons}); "
        f"at most {allowed:.1%} may fail. The first is {first['source']}: {first['detail'].rstrip('.')}.",
        remedy,
    )
