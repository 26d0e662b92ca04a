"""Checks of the dataset as a whole, from what is on disk."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import pandas as pd

from video_assets.domain.checks import CheckOutcome, CheckPicture
from video_assets.domain.near_duplicates import MAX_PAIRS, NearDuplicate, near_duplicates
from video_assets.domain.splits import SPLITS, Split
from video_assets.domain.text import counted, sequence_of
from video_assets.pipeline.classes import rows_by_class
from video_assets.pipeline.commit.committed_records import read_stored, sampled_clip
from video_assets.pipeline.commit.look_alikes import ComparedClips
from video_assets.pipeline.manifest.manifest_table import ReadManifest
from video_assets.pipeline.plan.plan_table import ReadPlan, partition_keys, read_plan
from video_assets.pipeline.shards.pending import is_current, marks_of_failures
from video_assets.sources.source_clips import MISSING_REASON
from video_assets.storage.addresses import ask_each
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets.storage.quarantine import accepted_losses
from video_assets.storage.sidecars import Sidecar, read_sidecar
from video_assets.storage.tables import MANIFEST, SPLIT, read_table

DATASET_CHECKS = ("no_leakage", "classes_covered", "one_encoding", "nothing_lost")
_MAX_PICTURES = 4
_MAX_NAMED = 10


def one_of_each_codec(paths: DatasetPaths, plan: ReadPlan) -> frozenset[str]:
    """Return the ids of planned clips: of each codec the one that takes least to decode, to be compared for certain."""
    codecs = read_table(paths.manifest, MANIFEST, ["clip_id", "codec"]).drop_duplicates("clip_id")
    rows = plan.rows.merge(codecs, on="clip_id")
    rows = rows.assign(cost=rows["num_frames"] * rows["num_pixels"]).sort_values(["cost", "clip_id"])
    return frozenset(rows.drop_duplicates("codec")["clip_id"])


@dataclass(frozen=True)
class DatasetAudit:
    """The checks of a planned dataset and of its shards' sidecars.

    `near_duplicates_are_errors` decides how bad a near-duplicate clip across splits is; identical content and
    torn groups always are errors. Without `earlier`, the last commit's look-alikes, all clips are compared. `read` is
    the plan, and `read_manifest` the manifest, if they were read.
    """

    paths: DatasetPaths
    max_failed_fraction: float = 0.1
    near_duplicates_are_errors: bool = False
    earlier: ComparedClips | None = None
    read: ReadPlan | None = None
    read_manifest: ReadManifest | None = None

    def run(self, name: str) -> CheckOutcome:
        """Runs one of `DATASET_CHECKS` by name."""
        checks: dict[str, Callable[[], CheckOutcome]] = {
            "no_leakage": self.no_leakage,
            "classes_covered": self.classes_covered,
            "one_encoding": self.one_encoding,
            "nothing_lost": self.nothing_lost,
        }
        return checks[name]()

    @cached_property
    def plan(self) -> ReadPlan:
        """The plan on disk."""
        return self.read or read_plan(self.paths)

    @cached_property
    def sidecars(self) -> Mapping[str, Sidecar | None]:
        """Every planned shard's sidecar, None where there is none."""
        version = self.paths.version(self.plan.pinned.version)
        places = [version.sidecar(*parse_partition_key(key)) for key in self.fingerprints]
        return dict(zip(self.fingerprints, ask_each(version.directory, read_sidecar, places), strict=True))

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Fingerprint of every planned shard, by partition key."""
        return self.plan.fingerprints()

    @cached_property
    def _manifest(self) -> ReadManifest:
        return self.read_manifest or ReadManifest.of(self.paths)

    @property
    def _splits_in_use(self) -> list[Split]:
        """The splits, without those that an official list of all clips leaves empty: many public sets have no test."""
        official = self._manifest.clips["official_split"]
        is_told = len(official) > 0 and official.notna().all()
        used = {*official, *self._places["split"]} if is_told else set(self.plan.pinned.splits)
        return [split for split in self.plan.pinned.splits if split in used]

    @cached_property
    def _places(self) -> pd.DataFrame:
        """Where each clip stands, by the splits' tables, by the plan, and by what was stored."""
        columns = ["clip_id", "group", "content_hash"]
        parts = [self.plan.rows[["clip_id", "split", "content_hash"]]]
        parts += [read_table(self.paths.split(split), SPLIT, columns).assign(split=split) for split in SPLITS]
        stored = [
            (clip.clip_id, split, clip.content_hash)
            for key, sidecar in self.sidecars.items()
            for split in [parse_partition_key(key)[0]]
            if sidecar is not None
            for clip in sidecar.clips
        ]
        parts.append(pd.DataFrame(stored, columns=["clip_id", "split", "content_hash"]))
        places = pd.concat(parts, ignore_index=True)
        known = self._manifest.clips.drop_duplicates("clip_id").set_index("clip_id")["group"]
        places["group"] = places["group"].fillna(places["clip_id"].map(known))
        return places

    def no_leakage(self) -> CheckOutcome:
        """No clip, group or content is in two splits; near-duplicates across splits are named."""
        places = self._places
        several = "both" if len(self.plan.pinned.splits) == 2 else "several"
        for column, word in (("clip_id", "clip"), ("group", "group"), ("content_hash", "content")):
            torn = places.dropna(subset=[column]).groupby(column)["split"].nunique()
            torn = torn[torn > 1]
            if len(torn):
                first = str(torn.index[0])
                members = sorted({f"{c} ({s})" for c, s in zip(*_members(places, column, first), strict=True)})
                found = counted(len(torn), f"{word} is", f"{word}s are")
                description = f"{found} in {several} splits; {word} {first}: {', '.join(members[:6])}"
                return CheckOutcome(
                    name="no_leakage",
                    passed=False,
                    description=description,
                    facts={"torn": len(torn)},
                    pictures=self._pictures_of([set(_members(places, column, first)[0])]),
                )
        return self._look_alikes()

    @cached_property
    def look_alikes(self) -> Mapping[tuple[Split, Split], Sequence[NearDuplicate]]:
        """The near-duplicates of every two splits."""
        splits = self.plan.pinned.splits
        signatures = {split: self._signatures(split) for split in splits}
        return {
            (one, other): near_duplicates(
                signatures[one],
                signatures[other],
                earlier=self.earlier and self.earlier.of_splits(one, other),
            )
            for one, other in combinations(splits, 2)
        }

    def _look_alikes(self) -> CheckOutcome:
        found: list[str] = []
        named: list[dict[str, str]] = []
        num_pairs = 0
        alike: set[str] = set()
        nearest: list[set[str]] = []
        for (one, other), pairs in self.look_alikes.items():
            num_pairs += len(pairs)
            named += [{one: pair.a, other: pair.b} for pair in pairs]
            nearest += [{pair.a, pair.b} for pair in pairs[:_MAX_PICTURES]]
            alike |= {pair.a for pair in pairs} | {pair.b for pair in pairs}
            if pairs:
                found.append(_described(pairs, one, other))
        if found:
            return CheckOutcome(
                name="no_leakage",
                passed=False,
                severity="ERROR" if self.near_duplicates_are_errors else "WARN",
                description="; ".join(found),
                facts={"near_duplicate_clips": len(alike), "near_duplicate_pairs": num_pairs},
                pictures=self._pictures_of(nearest[:_MAX_PICTURES]),
                named=named,
            )
        return CheckOutcome(
            name="no_leakage", passed=True, description="no group, content or look-alike is in two splits"
        )

    def _pictures_of(self, sets_of_clips: Iterable[Collection[str]]) -> list[CheckPicture]:
        """The middle frames of stored clips, those of a set side by side."""
        from video_assets.media.images import encode_image

        wanted = [sorted(clip_ids)[:_MAX_PICTURES] for clip_ids in sets_of_clips]
        every = {clip_id for clip_ids in wanted for clip_id in clip_ids}
        places = {
            clip.clip_id: (key, clip)
            for key, sidecar in self.sidecars.items()
            if sidecar is not None
            for clip in sidecar.clips
            if clip.clip_id in every
        }
        version_paths = self.paths.version(self.plan.pinned.version)
        records = read_stored(version_paths, self.plan.pinned.encoding.layout, self.plan.labels, places.values())
        images = {record.clip_id: encode_image(sampled_clip(record, 1).frames[0], "jpeg", 85) for record in records}
        return [
            CheckPicture(
                " · ".join(clip_ids),
                [images[clip_id] for clip_id in clip_ids if clip_id in images],
                [parse_partition_key(places[clip_id][0])[0] for clip_id in clip_ids if clip_id in images],
            )
            for clip_ids in wanted
        ]

    def _signatures(self, split: Split) -> dict[str, bytes]:
        return {
            clip.clip_id: bytes.fromhex(clip.signature)
            for key, sidecar in self.sidecars.items()
            if sidecar is not None and parse_partition_key(key)[0] == split
            for clip in sidecar.clips
            if clip.signature
        }

    def classes_covered(self) -> CheckOutcome:
        """Every class that could be in all splits is; the others are named."""
        splits = self._splits_in_use
        places = self._places
        labels = rows_by_class(self.plan.rows[["clip_id", "label"]], multi_label=self.plan.pinned.encoding.multi_label)
        counts = places.drop_duplicates("clip_id").merge(labels, on="clip_id")
        splits_of = counts.groupby("label")["split"].agg(set)
        groups_of = (
            counts.assign(unit=counts["group"].fillna(counts["content_hash"])).groupby("label")["unit"].nunique()
        )
        absent = {
            str(label): sorted(set(splits) - where) for label, where in splits_of.items() if len(where) < len(splits)
        }
        torn = sorted(label for label in absent if groups_of[label] > len(splits) - len(absent[label]))
        unavoidable = sorted(set(absent) - set(torn))
        unused = sorted(set(self.plan.labels) - set(map(str, splits_of.index)))
        rows = [{"class": label, "not_in": ", ".join(absent[label])} for label in (*torn, *unavoidable)]
        facts = {"classes": len(splits_of), "one_group_classes": len(unavoidable), "classes_without_clips": len(unused)}
        if torn:
            named = ", ".join(f"{label} (not in {' nor '.join(absent[label])})" for label in torn[:10])
            where = "in one split only" if len(splits) == 2 else "not in all splits"
            verb = "is" if len(torn) == 1 else "are"
            description = f"{counted(len(torn), 'class', 'classes')} with several groups {verb} {where}: {named}"
            return CheckOutcome(
                name="classes_covered", passed=False, severity="WARN", description=description, facts=facts, named=rows
            )
        if unavoidable:
            named = ", ".join(unavoidable[:10])
            have, they_are = ("has", "it is") if len(unavoidable) == 1 else ("have", "they are")
            why = f"{have} one group, so {they_are} in one split only"
            why = why if len(splits) == 2 else f"{have} fewer groups than there are splits"
            description = f"{counted(len(unavoidable), 'class', 'classes')} {why}: {named}"
            return CheckOutcome(
                name="classes_covered", passed=False, severity="WARN", description=description, facts=facts, named=rows
            )
        return CheckOutcome(
            name="classes_covered",
            passed=True,
            description=f"all {len(splits_of)} classes are in {'both' if len(splits) == 2 else 'all'} splits",
            facts=facts,
        )

    def one_encoding(self) -> CheckOutcome:
        """Every shard was written as planned now, under the pinned encoding."""
        wanted = self.plan.pinned.encoding.as_dict()
        for key, sidecar in self.sidecars.items():
            if sidecar is None:
                continue
            other = {name: value for name, value in sidecar.encoding.items() if wanted.get(name) != value}
            if other or sidecar.fingerprint != self.fingerprints[key]:
                named = ", ".join(f"{name} {value}, pinned is {wanted.get(name)}" for name, value in other.items())
                description = (
                    f"{key} was written under other settings: {named or 'its fingerprint is not the planned one'}"
                )
                return CheckOutcome(name="one_encoding", passed=False, description=description, target=key)
        description = f"{counted(len(self.sidecars), 'shard was', 'shards were')} written under the pinned encoding"
        return CheckOutcome(name="one_encoding", passed=True, description=description)

    def nothing_lost(self) -> CheckOutcome:
        """Planned clips are stored, or quarantined with a reason; and no more than the allowed fraction is lost."""
        planned: dict[str, set[str]] = defaultdict(set)
        for key, clip_id in zip(partition_keys(self.plan.rows), self.plan.rows["clip_id"], strict=True):
            planned[key].add(clip_id)
        version = self.paths.version(self.plan.pinned.version)
        failed = marks_of_failures(version) & self.fingerprints.keys()
        known = {key for key in failed if not is_current(version, key, self.fingerprints[key])}
        missing = [key for key in planned if self.sidecars.get(key) is None or key in known]
        if missing:
            description = f"{len(missing)} planned shards are not there, or damaged: {sequence_of(missing)}"
            return CheckOutcome(
                name="nothing_lost",
                passed=False,
                description=description,
                facts={"missing": len(missing)},
                named=[{"shard": key} for key in missing],
            )
        num_stored, num_lost = 0, 0
        for key, sidecar in self.sidecars.items():
            if sidecar is None:
                continue
            stored, lost = {c.clip_id for c in sidecar.clips}, {c.clip_id for c in sidecar.losses}
            unexplained = sorted(planned[key] - stored - lost)
            if unexplained or not all(loss.reason for loss in sidecar.losses):
                named = sequence_of(unexplained) or "a loss without a reason"
                description = f"{key}: planned clips are neither stored nor quarantined: {named}"
                return CheckOutcome(name="nothing_lost", passed=False, description=description, target=key)
            num_stored, num_lost = num_stored + len(stored), num_lost + len(lost)
        return self._allowed_loss(num_stored, num_lost)

    def _allowed_loss(self, num_stored: int, num_lost: int) -> CheckOutcome:
        accepted = accepted_losses(self.paths.quarantine)
        # Rows that name no file have a budget of their own, which the manifest kept.
        num_lost += int(((accepted["stage"] != "shards") & (accepted["reason"] != MISSING_REASON)).sum())
        fraction = num_lost / max(1, num_stored + num_lost)
        share = f"{fraction:.1%}, allowed {self.max_failed_fraction:.1%}"
        description = f"{counted(num_stored, 'clip')} stored, {num_lost} quarantined ({share})"
        facts = {"stored": num_stored, "quarantined": num_lost, "lost_fraction": round(fraction, 6)}
        passed = fraction <= self.max_failed_fraction and num_stored > 0
        if not passed:
            description += "; the quarantine names each; raise manifest.max_failed_fraction to accept them"
        return CheckOutcome(name="nothing_lost", passed=passed, description=description, facts=facts)


def _described(pairs: Sequence[NearDuplicate], one: Split, other: Split) -> str:
    """How many clips of a split look like any of the other, and the nearest pairs; a clip may be in many of them."""
    at_least = "at least " if len(pairs) >= MAX_PAIRS else ""
    named = "; ".join(f"{pair.a} and {pair.b}" for pair in pairs[:_MAX_NAMED])
    more = f"; and {at_least}{len(pairs) - _MAX_NAMED} more pairs" if len(pairs) > _MAX_NAMED else ""
    alike = counted(len({pair.a for pair in pairs}), f"clip of {one} looks", f"clips of {one} look")
    return f"{at_least}{alike} like clips of {other}: {named}{more}"


def _members(places: pd.DataFrame, column: str, value: str) -> tuple[Iterable[str], Iterable[str]]:
    rows = places[places[column] == value]
    return rows["clip_id"], rows["split"]
