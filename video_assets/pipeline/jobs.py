"""What decoding processes run, in whichever order the stages come."""

from typing import Final

JOB_MODULES: Final = tuple(f"video_assets.pipeline.{name}" for name in ("probing", "trial", "encode", "comparison"))
"""Modules that a decoding process has loaded before its first job."""
