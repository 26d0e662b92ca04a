"""The errors of video_assets, one small tree.

* VideoAssetsError: anything that a user can act on
    * SettingsError: a setting is wrong; the message names it (exit code 2)
    * BuildRefused: the build must not go on; the message says why (exit code 1)
        * FileDamaged: a file does not have the bytes that were written; the message names it and the remedy
        * StorageFailed: the system could not read or write a file; the message names it and the remedy

A failure of one video is not an exception here: it is a `Loss`, a value that is collected and reported.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
"""Exit codes of commands: done and valid; refused, or a check failed; wrong usage or settings; Ctrl-C."""

DAMAGE_REMEDY = "run `video-assets repair`, or put a copy from a backup in its place"
"""What to do about a damaged file, for the message of `FileDamaged`."""


class VideoAssetsError(Exception):
    """Base of all errors that this package raises for its users. `facts` is what `--json` has beside the message."""

    facts: Mapping[str, Any] = MappingProxyType({})


class SettingsError(VideoAssetsError):
    """A setting, a path or a table column is wrong. The message names it and says what is allowed."""


class BuildRefused(VideoAssetsError):
    """A stage refuses to go on, by rule. The message names the rule and what to do."""


class FileDamaged(BuildRefused):
    """A file does not have the bytes that were written: bit rot, or an edit. The message names it and the remedy."""


class StorageFailed(BuildRefused, OSError):
    """The system could not read or write: a full disk, missing permissions. Earlier files stay as they were."""
