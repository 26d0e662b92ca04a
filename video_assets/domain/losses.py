"""Why a video or a clip could not be used: reason codes that scripts can count, sentences that people can read."""

from dataclasses import dataclass
from typing import Literal, get_args

LossReason = Literal[
    "missing_file",  # it was listed, and is not there any more
    "not_found",  # a row names no file of the source
    "ambiguous_file",  # what a row names matches two files
    "outside_source",  # a table's path leaves the source
    "empty_file",  # zero bytes
    "read_failed",  # the system would not let it be read: a right, a disk, a lost mount
    "unreadable",  # it could be read, but no known container was found in it, or the decoder broke on it
    "no_video",  # a container without a video stream
    "unsupported_codec",  # no decoder for the stream
    "encrypted",  # protected samples
    "no_frames",  # a video stream that gives not one frame
    "corrupt_frames",  # the frames that were asked for decode with errors only
    "too_many_pixels",  # a frame larger than the limit
    "too_many_frames",  # more frames than the limit
    "too_long",  # longer than the limit
    "too_large",  # more bytes than the limit
    "too_short",  # fewer frames than asked for, where the settings say to quarantine such clips
    "bad_span",  # start and end are not a span of this video
    "bad_row",  # a table row that cannot be understood
    "bad_name",  # a file name that is not valid UTF-8
    "no_label",  # a video beside the class folders, in none of them
    "label_conflict",  # the same content under two labels
    "split_conflict",  # its group is in one split, its content or official split in another; or two rows put it apart
    "timeout",  # decoding took longer than the limit
    "crashed",  # the decoder took its process down
    "out_of_memory",  # decoding needed more memory than the limit
    "changed",  # the file changed between two steps of one build
]
LOSS_REASONS: tuple[LossReason, ...] = get_args(LossReason)


REMEMBERED_REASONS: frozenset[LossReason] = frozenset(
    {"empty_file", "unreadable", "no_video", "unsupported_codec", "encrypted", "no_frames"}
)
"""Reasons that lie in the file alone: as long as it is the same, it is not opened again."""

DECODER_REASONS: frozenset[LossReason] = REMEMBERED_REASONS - {"empty_file"}
"""Of these, the ones that another decoder may see otherwise: with another version of it they are opened again."""

PASSING_REASONS: frozenset[LossReason] = frozenset(
    {"timeout", "crashed", "out_of_memory", "missing_file", "read_failed", "unreadable"}
)
"""Reasons for which the encoding of a clip may have failed though its file is good: a busy machine, a lost mount.

`plan.retry_lost` tries such clips again. `unreadable` is among them, for the file could be opened when it was probed,
and earlier versions said so of files that the system would not read.
"""


@dataclass(frozen=True, slots=True)
class Loss:
    """Why one video or clip is not in the dataset.

    `detail` is one sentence for a person: what was found, and the value and rule where there is one.
    """

    reason: LossReason
    detail: str


class VideoLost(Exception):
    """Carries a `Loss` out of the code that opens one video; the stages turn it back into a value."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(f"{loss.reason}: {loss.detail}")
        self.loss = loss

    def __reduce__(self) -> "tuple[type[VideoLost], tuple[Loss]]":
        return (VideoLost, (self.loss,))
