"""Notice damage that FFmpeg's decoders of HEVC, VP8, VP9 and H.264 do not: they decode anything to some picture.

Their data are read by an arithmetic decoder, which of sound data reads neither less than there is nor more. So what
follows the data of a picture does not matter, and the last of its data does. Damaged data are read to another length.

* Pictures that can be read without others, which are all of HEVC and the keyframes of VP8 and VP9, are decoded alone:
  with other last bytes they have to become other pictures, with more bytes the same.
* VP8 and VP9 are decoded a second time, and have to give the same frames. Where FFmpeg has libvpx, that does it: it
  refuses VP9 data that end early or late, and makes other pictures than FFmpeg of damaged VP8. Otherwise FFmpeg's own
  decoder gets every packet with more bytes at its end.
* VP8 pictures between keyframes are decoded with other last bytes, too (`vp8_pictures.py`).
* H.264 of streams, and of small pictures, is decoded a second time with higher pictures (`tall_pictures.py`).
"""

import random
from collections.abc import Iterable, Sequence
from typing import Final

import av.codec
import av.codec.codec
import av.codec.context
import av.error
import av.packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from video_assets.media.decode.other_bytes import (
    as_trailing,
    ends_of_data,
    other_ends,
    packet_frames,
    packets_of,
    parameter_sets,
    pieces_of,
    with_more,
    with_other_end,
)
from video_assets.media.decode.planes import Planes, are_same, copy_planes, differing_share
from video_assets.media.decode.tall_pictures import CONCEALMENT, TallDecode, is_worth_its_time
from video_assets.media.decode.vp8_pictures import Vp8PictureCheck
from video_assets.media.index.hevc_order import begins_rows_anew
from video_assets.media.index.parameter_sets import parameters_in_header
from video_assets.media.open.video import OpenVideo

TRIED_CODECS: Final = frozenset({"hevc", "vp8", "vp9"})
_OTHER_DECODERS: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Of sound data they make the same frames as FFmpeg's own decoders."""

_NUM_TRIES: Final = 3
_USUAL_SHARE: Final = 1 / 12
"""How much of a picture its last bytes may decide before it is tried whether its data go on. Of data that are read too
far they decide more: all that is read after them is random."""
_WITH_DAMAGED: Final = {"skip_loop_filter": "all", "flags": "+output_corrupt", "flags2": "+showall"}
_MAX_ENDS: Final = 8
"""Of how many slices or tiles each one's end is tried, in a decode of the picture for each."""
_ONE, _BY_ROWS = 1, 2
"""How many threads decode a picture. With two, FFmpeg decodes the rows of HEVC that begin anew beside one another."""
_MAX_WAITING: Final = 24
"""Frames that wait for the same one of the other decoder; more than any decoder keeps back."""


class TailCheck:
    """Tries the packets of a decode where its codec is one that hides damage.

    `is_strict`: whether decoding begins with pictures that need none before them, so that every error is damage.
    """

    is_strict: bool = True

    def __init__(self, opened: OpenVideo) -> None:
        self._opened = opened
        self._checks: list[_SecondDecode | _PictureCheck | TallDecode | Vp8PictureCheck] = []
        self._is_begun = False
        codec = opened.codec.codec.canonical_name
        self.is_needed = codec in TRIED_CODECS or (codec == "h264" and is_worth_its_time(opened))

    def add_packet(self, number: int, packet: av.packet.Packet) -> None:
        """Note a packet that is decoded next."""
        if not self.is_needed:
            return
        if not self._is_begun:
            self._begin()
        for check in self._checks:
            check.add_packet(number, packet)

    def add_frame(self, frame: VideoFrame) -> None:
        """Note a frame that came out; it carries the number of its packet."""
        number = frame.opaque
        for check in self._checks:
            if isinstance(check, _SecondDecode) and isinstance(number, int):
                check.add_frame(number, frame)

    def take_damaged(self) -> set[int]:
        """Return the numbers of the packets that were found damaged since the last call."""
        return set[int]().union(*(check.take_damaged() for check in self._checks)) if self._checks else set()

    def finish(self) -> set[int]:
        """Return the numbers of the others that are found damaged, and forget all."""
        for check in self._checks:
            check.finish()
        found = self.take_damaged()
        self._checks.clear()
        self._is_begun = False
        return found

    def _begin(self) -> None:
        self._is_begun = True
        opened, codec = self._opened, self._opened.codec.codec
        if codec.canonical_name == "h264":
            options = {**_WITH_DAMAGED, **CONCEALMENT, "max_pixels": str(2 * opened.limits.max_pixels)}
            options["err_detect"] = "explode" if self.is_strict else "0"
            self._checks.append(TallDecode(opened, _decoder_of(opened, codec.name, 1, **options)))
            return
        knows_end = False
        if codec.canonical_name != "hevc":
            second = _SecondDecode(opened)
            knows_end = second.refuses_other_ends
            self._checks.append(second)
        self._checks.append(_PictureCheck(opened, min_ends=2 if knows_end else 1))
        if codec.canonical_name == "vp8":
            self._checks.append(Vp8PictureCheck(_decoder_of(opened, codec.name, 1, **_WITH_DAMAGED)))


class _SecondDecode:
    """A second decode beside the first one, of the same packets.

    `refuses_other_ends`: the decoder gives an error for a picture whose data are read to another length. Otherwise it
    gets each picture with more bytes at the end.
    """

    def __init__(self, opened: OpenVideo) -> None:
        self._opened = opened
        self._decoder = _decoder_of(opened, _other_decoder(opened) or opened.codec.codec.name)
        self._frames: tuple[dict[int, VideoFrame], dict[int, VideoFrame]] = ({}, {})  # of the first, of this one
        self._differing: set[int] = set()
        self.refuses_other_ends = self._decoder.codec.name == "libvpx-vp9"

    def add_packet(self, number: int, packet: av.packet.Packet) -> None:
        """Decode a packet."""
        first, data = self._opened.codec, bytes(packet)
        if self._decoder.skip_frame != first.skip_frame:
            self._decoder.skip_frame = first.skip_frame
        codec = first.codec.canonical_name
        if self.refuses_other_ends:
            pieces = pieces_of(codec, data, first.extradata)
        else:  # with all zeros at its end: at low bit rates, data end with many
            pieces = with_more(codec, packet_frames(codec, data))
        for part in packets_of(codec, pieces, first.extradata):
            self._decode(number, _packet_of(part, number))

    def add_frame(self, number: int, frame: VideoFrame) -> None:
        """Note a frame of the first decode."""
        self._compare(number, frame, *self._frames)

    def finish(self) -> None:
        """Take the frames that are left in the decoder."""
        self._decode(-1, None)

    def take_damaged(self) -> set[int]:
        """Return the packets whose frames differ, each once."""
        found, self._differing = self._differing, set()
        return found

    def _decode(self, number: int, packet: av.packet.Packet | None) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            self._differing |= {number} if packet is not None else set()
            return
        for frame in frames:
            if frame.pts is not None:
                self._compare(frame.pts, frame, *reversed(self._frames))

    def _compare(
        self, number: int, frame: VideoFrame, same: dict[int, VideoFrame], others: dict[int, VideoFrame]
    ) -> None:
        other = others.pop(number, None)
        if other is None:
            same[number] = frame
            if len(same) > _MAX_WAITING:  # the other decoder gave an error for the oldest
                del same[next(iter(same))]
        elif not are_same(frame, other):
            self._differing.add(number)


class _PictureCheck:
    """Decodes single pictures without those that they refer to: as they are, with other last bytes, with more bytes.

    Pictures with fewer ends than `min_ends` are left to the second decode, which knows about the last end alone. What
    looks damaged is tried again, each time in a new decoder: for a missing picture FFmpeg takes motion vectors that it
    finds in memory, so that one decoder makes two pictures of the same data in turn where these have weights.
    """

    def __init__(self, opened: OpenVideo, min_ends: int) -> None:
        self._min_ends = min_ends
        self._codec, self._extradata = opened.codec.codec.canonical_name, opened.codec.extradata
        self._opened, self._first = opened, opened.codec
        self._decoders = {threads: self._new_decoder(threads) for threads in (_ONE, _BY_ROWS)}
        self._is_careful = False
        self._parameter_sets: list[bytes] = []
        self._chance = random.Random(0)  # noqa: S311
        self._damaged: set[int] = set()
        self._follows_keyframe = self._has_rows = False
        if self._codec == "hevc":
            self._note_rows(parameters_in_header(self._codec, self._extradata).values())

    def add_packet(self, number: int, packet: av.packet.Packet) -> None:
        """Try a packet, if it can be read without those before it."""
        if self._codec != "hevc" and not packet.is_keyframe:
            return
        pieces = [as_trailing(self._codec, piece) for piece in pieces_of(self._codec, bytes(packet), self._extradata)]
        if self._codec == "hevc" and packet.is_keyframe:
            self._note_rows(pieces)
            self._parameter_sets = parameter_sets(pieces) or self._parameter_sets
        is_first = self._follows_keyframe and not packet.is_keyframe
        self._follows_keyframe = packet.is_keyframe
        num_tries = 1 if packet.is_keyframe else _NUM_TRIES
        if self._looks_damaged(pieces, num_tries, is_first=is_first):
            self._is_careful = True
            if self._looks_damaged([*self._parameter_sets, *pieces], num_tries, is_first=False):
                self._damaged.add(number)
            self._is_careful = False

    def finish(self) -> None:
        """Do nothing: each packet is tried at once."""

    def take_damaged(self) -> set[int]:
        """Return the packets that are read to another length, each once."""
        found, self._damaged = self._damaged, set()
        return found

    def _note_rows(self, units: Iterable[bytes]) -> None:
        for unit in units:
            said = begins_rows_anew(unit)
            self._has_rows = self._has_rows if said is None else said

    def _looks_damaged(self, pieces: Sequence[bytes], num_tries: int, *, is_first: bool) -> bool:
        ends = ends_of_data(self._codec, pieces)
        whole = self._frames(pieces) if len(ends) >= self._min_ends else []
        if is_first:
            whole = self._frames(pieces)  # see `_frames`
        if not whole:
            return False
        if self._has_rows and differing_share(whole, self._frames(pieces, _BY_ROWS)):
            return True
        ends = ends if len(ends) <= _MAX_ENDS else ends[-1:]
        shares = [self._share_of_end(pieces, end, whole) for end in ends]
        return 0 in shares or (max(shares, default=1) > _USUAL_SHARE and self._goes_on(pieces, whole, num_tries))

    def _share_of_end(self, pieces: Sequence[bytes], end: tuple[int, int], whole: Sequence[Planes]) -> float:
        """Return how much of the picture the bytes before an end decide; 1 if these are too few to be tried."""
        for other in other_ends(self._chance):
            changed = with_other_end(self._codec, pieces, end, other)
            share = differing_share(whole, self._frames(changed)) if changed else 1
            if share:
                return share
        return 0

    def _goes_on(self, pieces: Sequence[bytes], whole: Sequence[Planes], num_tries: int) -> bool:
        more = with_more(self._codec, pieces)
        for _ in range(num_tries):
            if not differing_share(whole, self._frames(more)):
                return False
            # What a decoder puts in the place of a missing picture may have been another thing the first time.
            whole = self._frames(pieces)
        return True

    def _frames(self, pieces: Sequence[bytes], threads: int = _ONE) -> list[Planes]:
        """Decode a picture; nothing comes where it is skipped, or gives an error, which the decode itself notices.

        Blocks that the data do not reach stay as they were in memory. That has to be the same each time, or it would
        look as if the data decided them. So no frame is kept: the decoder then takes the memory of the picture before,
        or that of a picture that it made up for a missing one. After a keyframe this changes once.
        """
        decoder = self._new_decoder(threads) if self._is_careful else self._decoders[threads]
        decoder.flush_buffers()
        if decoder.skip_frame != self._first.skip_frame:
            decoder.skip_frame = self._first.skip_frame
        found: list[Planes] = []
        try:
            for data in packets_of(self._codec, pieces, self._extradata):
                found += [copy_planes(frame) for frame in decoder.decode(_packet_of(data, 0))]
            return found + [copy_planes(frame) for frame in decoder.decode(None)]
        except av.error.FFmpegError:
            return []

    def _new_decoder(self, threads: int) -> VideoCodecContext:
        return _decoder_of(self._opened, self._first.codec.name, threads, **_WITH_DAMAGED)


def _other_decoder(opened: OpenVideo) -> str | None:
    """Return the name of another decoder of the same codec; None without one. libvpx knows 8 bits alone."""
    codec = opened.codec
    name = _OTHER_DECODERS.get(codec.codec.canonical_name)
    if name is None or codec.format is None or codec.format.components[0].bits > 8:
        return None
    try:
        return av.codec.Codec(name, "r").name
    except av.codec.codec.UnknownCodecError:  # an FFmpeg that was built without it
        return None


def _decoder_of(opened: OpenVideo, name: str, threads: int = 1, **options: str) -> VideoCodecContext:
    """Return another decoder for the same packets."""
    decoder: VideoCodecContext = av.codec.context.CodecContext.create(name, "r")  # pyright: ignore[reportAssignmentType]
    decoder.extradata = opened.codec.extradata
    decoder.thread_count, decoder.thread_type = threads, "NONE" if threads == 1 else "SLICE"
    decoder.options = {"max_pixels": str(opened.limits.max_pixels), **options}
    return decoder


def _packet_of(data: bytes, number: int) -> av.packet.Packet:
    packet = av.packet.Packet(data)
    packet.pts = packet.dts = number  # not as opaque: PyAV forgets an object that two packets have once one is gone
    return packet
