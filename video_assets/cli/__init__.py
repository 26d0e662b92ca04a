"""The command line, `video-assets`."""

from video_assets.cli.program import main

__all__ = ["main"]
