"""What settings are made of: the choices that they offer, and the group that those of one step are in."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

Layout = Literal["tfds", "sequence_example", "movinets_helper"]
Sampling = Literal["uniform", "fps", "segments", "all"]
Resize = Literal["stretch", "short_side", "center_crop", "letterbox"]
ImageFormat = Literal["jpeg", "png"]
ShortClip = Literal["repeat_last", "loop", "quarantine"]
DamagedClips = Literal["quarantine", "store"]
OverMaxFrames = Literal["first", "spread"]
Hdr = Literal["clip", "tonemap"]

SourceFormat = Literal[
    "auto",
    "folders",
    "split_folders",
    "table",
    "hf_videofolder",
    "ucf101",
    "hmdb51",
    "kinetics",
    "something_something",
    "jester",
    "activitynet",
    "charades",
    "epic_kitchens",
    "moments",
    "diving48",
    "finegym",
    "mmaction2",
    "slowfast",
    "label_studio",
    "file_names",
]
EpicLabel = Literal["verb", "noun", "action"]
ClipField = Literal["path", "label", "start", "end", "start_frame", "end_frame", "split", "group", "caption"]
"""What a row of annotations can say of a clip."""


class SettingsGroup(BaseModel):
    """Base of the settings of one step. `model_fields_set` names those that were given; the others are defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def replace(self, **changes: Any) -> Self:
        """Return the same settings with some others, checked as all are.

        >>> from video_assets.settings import DatasetSettings
        >>> DatasetSettings(text_index=True).replace(licence="CC0").model_dump(exclude_unset=True)
        {'text_index': True, 'licence': 'CC0'}
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return self.model_validate(given | changes)

    def overlaid(self, other: Self) -> Self:
        """Return these settings with those that `other` gives in their place.

        >>> from video_assets.settings import SplitSettings
        >>> own = SplitSettings(seed=3, test_fraction=0.5)
        >>> own.overlaid(SplitSettings(test_fraction=0.1)).model_dump(exclude_unset=True)
        {'test_fraction': 0.1, 'seed': 3}
        """
        changes: dict[str, Any] = {}
        for name in other.model_fields_set:
            mine, theirs = getattr(self, name), getattr(other, name)
            changes[name] = mine.overlaid(theirs) if isinstance(mine, SettingsGroup) else theirs
        return self.replace(**changes)
