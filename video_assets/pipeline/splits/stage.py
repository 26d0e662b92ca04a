"""Stage 2: assign every group of clips to a split, and never move it again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.clips import Loss, LostSource
from video_assets.domain.errors import BuildRefused
from video_assets.domain.near_duplicates import NearDuplicate
from video_assets.domain.splits import SPLITS, Split, Unit, assign_splits, component_keys, split_named
from video_assets.domain.text import MAX_NAMED
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.classes import by_class
from video_assets.pipeline.dataset_state import committed_clips, refuse_lost
from video_assets.pipeline.noted_settings import manifest_settings, settings_note
from video_assets.pipeline.splits.components import (
    groups_of,
    join_alike,
    pairs_alike,
    same_contents,
    without_contradictions,
)
from video_assets.settings import SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import quarantine_rows, replace_stage
from video_assets.storage.tables import (
    MANIFEST,
    SPLIT,
    SPLIT_HISTORY,
    TEXT,
    empty_table,
    read_table,
    rows_digest,
    write_table,
)


@dataclass(frozen=True, slots=True)
class OfficialIgnored:
    """A clip whose official split came, or changed, after it was put into another; it stays there."""

    clip_id: str
    official: str
    split: str


@dataclass(slots=True)
class SplitReport:
    """What the stage did: the clips of each split, and those whose group and content contradict each other."""

    splits: dict[Split, pd.DataFrame]
    test_fraction: float
    val_fraction: float = 0.0
    num_new: int = 0
    official_ignored: Sequence[OfficialIgnored] = ()
    multi_label: bool = False
    lost: list[LostSource] = field(default_factory=list)
    leaving: Sequence[str] = ()
    """Those of the lost clips that the last commit holds."""
    alike: Sequence[NearDuplicate] = ()
    """Pairs of look-alikes that were joined, so that they are in one split."""

    def data_version(self, split: Split) -> str:
        """Return a hash of the rows of one split."""
        return rows_digest(self.splits[split])

    def without_clips(self) -> "SplitReport":
        """Return it without the clips, which the tables on disk have."""
        return replace(self, splits={split: empty_table(SPLIT) for split in self.splits})

    @property
    def has_val(self) -> bool:
        """Whether the third split was asked for, now or by an official list or a build before."""
        return self.val_fraction > 0 or len(self.splits["val"]) > 0

    @property
    def clips_that_stay(self) -> list[dict[str, str]]:
        """The first of `official_ignored`, as rows for people."""
        return [asdict(item) for item in self.official_ignored[:MAX_NAMED]]

    def balance(self) -> pd.DataFrame:
        """Clips of each class in each split, and the shares of those that are held out.

        A clip counts for each of its labels.
        """
        used: list[Split] = [split for split in SPLITS if split != "val" or self.has_val]
        classes = {split: by_class(self.splits[split]["label"], multi_label=self.multi_label) for split in used}
        counts = pd.DataFrame({split: labels.value_counts() for split, labels in classes.items()})
        counts = counts.reindex(columns=used).fillna(0).astype("int64").sort_index()
        total = counts.sum(axis=1)
        return counts.assign(**{f"{split}_share": counts[split] / total for split in used if split != "train"})


def conflicts_and_look_alikes(report: SplitReport) -> dict[str, Any]:
    """Return what `--json` has of committed clips that leave for their groups, and of look-alikes that are joined."""
    pairs = [{"clip": pair.a, "other": pair.b, "distance": round(pair.distance, 4)} for pair in report.alike]
    return {
        "split_conflicts": len(report.leaving),
        "split_conflict_clips": list(report.leaving[:MAX_NAMED]),
        "near_duplicates_grouped": len(pairs),
        "near_duplicate_pairs": pairs[:MAX_NAMED],
    }


class TooManyConflicts(BuildRefused):
    """More committed clips would leave than may, because their groups join clips of several splits: `lost`."""

    def __init__(self, sentence: str, lost: Sequence[LostSource]) -> None:
        super().__init__(sentence)
        self.lost = lost


def build_splits(
    paths: DatasetPaths,
    settings: SplitSettings,
    make_pool: PoolMaker | None = None,
    *,
    version_source: DatasetPaths | None = None,
) -> SplitReport:
    """Writes `splits/train.parquet`, `splits/test.parquet` and the history that keeps clips where they are.

    `splits/val.parquet` is written once there is a clip for it. `make_pool` opens what decodes frames of new clips, if
    look-alikes are to be grouped. `version_source` is where commits are, if that is another place.

    Raises:
        TooManyConflicts: if more committed clips would leave than may; nothing is written then.
        FileDamaged: if a table is not as it was written, or the history of a committed dataset is lost.
    """
    clips = read_table(paths.manifest, MANIFEST, [*SPLIT.names, "official_split", "picture_hash"])
    multi_label = paths.manifest.exists() and manifest_settings(paths).multi_label
    history = read_table(paths.split_history, SPLIT_HISTORY)
    if history.empty:
        refuse_lost(paths, paths.split_history)
    clips = clips.assign(content=same_contents(clips, history))
    known = _known_splits(clips, history)
    clips, known, components, lost = without_contradictions(clips, known)
    alike: Sequence[NearDuplicate] = ()
    if settings.group_near_duplicates and make_pool is not None:
        components, alike = _joined_alike(paths, clips, components, known, make_pool, version_source or paths)
    splits, num_new, ignored, official_lost = _assign(clips, components, known, settings, multi_label=multi_label)
    is_kept = ~clips["clip_id"].isin({item.source for item in official_lost}).to_numpy()
    clips, splits = clips[is_kept], splits[is_kept]
    lost += official_lost
    leaving = _refuse_conflicts(version_source or paths, lost, settings.max_conflict_fraction)
    replace_stage(paths.quarantine, "splits", quarantine_rows(lost))
    history = _extend_history(history, clips, splits)
    write_table(paths.split_history, history, SPLIT_HISTORY, settings_note(settings))
    report = SplitReport(
        {}, settings.test_fraction, settings.val_fraction, num_new, ignored, multi_label, lost, leaving, alike
    )
    for split in SPLITS:
        rows = clips.loc[splits == split, SPLIT.names].reset_index(drop=True)
        if split != "val" or len(rows) or paths.split(split).is_file():
            write_table(paths.split(split), rows, SPLIT)
        report.splits[split] = rows
    return report


def _known_splits(clips: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Where each clip's content, its group, and its own name were put before."""
    lookups = {kind: rows.set_index("key")["split"] for kind, rows in history.groupby("kind")}
    empty = pd.Series([], dtype=TEXT)
    columns = {"content": "content", "picture": "picture_hash", "group": "group", "clip": "clip_id"}
    known = {kind: clips[column].map(lookups.get(kind, empty)).astype(TEXT) for kind, column in columns.items()}
    known["content"] = known["content"].fillna(known.pop("picture"))
    return pd.DataFrame(known, index=clips.index)


def _joined_alike(
    paths: DatasetPaths,
    clips: pd.DataFrame,
    components: NDArray[np.int64],
    known: pd.DataFrame,
    make_pool: PoolMaker,
    committed: DatasetPaths,
) -> tuple[NDArray[np.int64], list[NearDuplicate]]:
    """The components after those of new clips were joined with those that they look like."""
    wanted: list[set[str]] = [set() for _ in range(int(components.max(initial=-1)) + 1)]
    for column in (known["content"], known["group"], known["clip"], clips["official_split"]):
        for component, split in zip(components[column.notna()].tolist(), column.dropna(), strict=True):
            wanted[component].add(str(split))
    is_known = np.isin(components, components[known.notna().any(axis=1)])
    pairs = pairs_alike(paths, clips, ~is_known, make_pool, committed)
    return join_alike(components, clips["clip_id"].tolist(), wanted, pairs)


def _refuse_conflicts(paths: DatasetPaths, lost: Sequence[LostSource], allowed: float) -> list[str]:
    """Return the committed clips among these; a group that comes late may tear many out of their splits."""
    if not lost:
        return []
    committed = set(committed_clips(paths, read_table(paths.manifest, MANIFEST))["clip_id"])
    leaving = [item for item in lost if item.source in committed]
    if len(leaving) > allowed * len(committed):
        raise TooManyConflicts(
            f"{len(leaving)} of the {len(committed)} clips of the dataset ({len(leaving) / len(committed):.1%}) would "
            f"leave it, because groups or copies now join clips of several splits. The first is {leaving[0].source}: "
            f"{leaving[0].loss.detail}. At most {allowed:.1%} may leave in one run. Correct the groups, or build a "
            "dataset with another name, whose splits begin with them. If the clips are to leave, allow it for one run: "
            "video-assets build --set splits.max_conflict_fraction=1",
            leaving,
        )
    return [item.source for item in leaving]


def _assign(
    clips: pd.DataFrame,
    components: NDArray[np.int64],
    known: pd.DataFrame,
    settings: SplitSettings,
    *,
    multi_label: bool,
) -> tuple[NDArray[np.object_], int, list[OfficialIgnored], list[LostSource]]:
    """The split of every clip, the number of new clips, and what the official lists have to say against it."""
    if clips.empty:
        return np.zeros(0, object), 0, [], []
    evidence = known["content"].fillna(known["group"])
    by_component = evidence.groupby(components).first()
    by_component = by_component.fillna(known["clip"].groupby(components).first())
    official = clips["official_split"]
    asked = _majority(official, components).reindex(by_component.index)
    settled = by_component.fillna(asked)
    keys = component_keys(components, groups_of(clips), clips["content"].tolist())
    classes = by_class(clips["label"].reset_index(drop=True), multi_label=multi_label)
    units = _units(classes, components[classes.index.to_numpy()], keys, settled, by_component)
    assigned = assign_splits(
        units,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
        val_fraction=settings.val_fraction,
        rarest_first=multi_label,
    )
    free = settled.isna()
    placed = settled.astype(object)
    placed[free] = [assigned[keys[component]] for component in placed.index[free]]
    splits = placed.to_numpy(dtype=object)[components]
    was_known = by_component.notna().to_numpy()[components]
    is_settled = (known["content"].notna() | known["clip"].notna()).to_numpy()
    disagrees = official.notna().to_numpy() & (official.to_numpy(dtype=object) != splits)
    lost = _official_conflicts(clips, splits, disagrees & ~is_settled)
    return splits, int((~was_known).sum()), _official_ignored(clips, splits, disagrees & is_settled), lost


def _majority(official: pd.Series, components: NDArray[np.int64]) -> pd.Series:
    """The split that the official lists give each component, by most of its clips."""
    given = official.notna().to_numpy()
    if not given.any():
        return pd.Series([], dtype=TEXT)
    counts = pd.crosstab(components[given], official[given].to_numpy()).reindex(columns=sorted(SPLITS), fill_value=0)
    return counts.idxmax(axis=1).astype(TEXT)


def _units(
    labels: pd.Series, components: NDArray[np.int64], keys: Sequence[str], settled: pd.Series, known: pd.Series
) -> list[Unit]:
    """New components one by one; those of earlier builds together, as a unit a split, for their weight only."""
    counts = pd.Series(1, index=range(len(labels))).groupby([components, labels.to_numpy()]).sum()
    is_known = known.notna()
    frame = counts.rename("count").rename_axis(["component", "label"]).reset_index()
    frame["known"] = known.reindex(frame["component"]).to_numpy(dtype=object)
    old = frame[is_known.reindex(frame["component"]).to_numpy(dtype=bool)]
    units: list[Unit] = []
    for split in SPLITS:
        weights = old[old["known"] == split].groupby("label")["count"].sum()
        if len(weights):
            units.append(Unit(f"earlier {split}", {str(k): int(v) for k, v in weights.items()}, split))
    new = frame[~is_known.reindex(frame["component"]).to_numpy(dtype=bool)]
    counted: dict[int, dict[str, int]] = {}
    for component, label, count in zip(new["component"], new["label"], new["count"], strict=True):
        counted.setdefault(int(component), {})[str(label)] = int(count)
    for component, clips_by_class in counted.items():
        split = settled[component]
        units.append(Unit(keys[component], clips_by_class, None if pd.isna(split) else split_named(str(split))))
    return units


def _official_ignored(
    clips: pd.DataFrame, splits: NDArray[np.object_], is_ignored: NDArray[np.bool_]
) -> list[OfficialIgnored]:
    rows = clips[is_ignored]
    columns = (rows["clip_id"], rows["official_split"], splits[is_ignored])
    return [OfficialIgnored(*map(str, values)) for values in zip(*columns, strict=True)]


def _official_conflicts(
    clips: pd.DataFrame, splits: NDArray[np.object_], disagrees: NDArray[np.bool_]
) -> list[LostSource]:
    rows = clips[disagrees]
    return [
        LostSource(
            clip_id,
            Loss(
                "split_conflict",
                f"the table puts it in {asked}, but its group, or a copy of it, is in {placed}; correct the table",
            ),
            label,
        )
        for clip_id, label, asked, placed in zip(
            rows["clip_id"], rows["label"], rows["official_split"], splits[disagrees], strict=True
        )
    ]


def _extend_history(history: pd.DataFrame, clips: pd.DataFrame, splits: NDArray[np.object_]) -> pd.DataFrame:
    parts = [history]
    columns = {"clip": "clip_id", "content": "content_hash", "picture": "picture_hash", "group": "group"}
    for kind, column in columns.items():
        rows = pd.DataFrame({"kind": kind, "key": clips[column].to_numpy(), "split": splits})
        parts.append(rows[rows["key"].notna() & (rows["key"] != "")])
    merged = pd.concat([part for part in parts if len(part)], ignore_index=True) if any(map(len, parts)) else history
    merged = merged.drop_duplicates(["kind", "key"], keep="first")
    return merged.sort_values(["kind", "key"], ignore_index=True)
