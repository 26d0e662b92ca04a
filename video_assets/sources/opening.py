"""Open a source: what annotation files and what videos are there."""

from pathlib import Path

from video_assets.domain.errors import SettingsError
from video_assets.settings import ManifestSettings
from video_assets.sources.class_names import ClassNames, read_class_names
from video_assets.sources.file_names import ANNOTATION_SUFFIXES, suffix_of
from video_assets.sources.listing import Listing, list_videos
from video_assets.sources.places import Videos
from video_assets.sources.tree import SourceTree
from video_assets.storage.addresses import is_remote, open_address


def is_table(source: Path) -> bool:
    """Whether a source is an annotation file by its name; otherwise it is a folder."""
    return suffix_of(source.name) in ANNOTATION_SUFFIXES and not source.is_dir()


def source_directory(source: Path, videos: str = "") -> Path:
    """The folder that the paths of a source's clips are relative to."""
    folder = source.parent if is_table(source) else source
    if not videos:
        return folder
    place = open_address(videos)
    return place if is_remote(place) or place.is_absolute() else folder / place


def open_tree(source: Path, settings: ManifestSettings) -> SourceTree:
    """Return a source as dialects see it.

    Raises:
        SettingsError: if it is not there or cannot be listed, or `manifest.videos` is no folder.
    """
    if is_table(source):
        return _tree_of_table(source, settings)
    if source.is_file():
        endings = ", ".join(ANNOTATION_SUFFIXES)
        raise SettingsError(f"the source {source} is a file, but none of {endings}")
    listing = list_videos(source, settings.include, follow_links=settings.follow_links)
    names = sorted((file.path for file in listing.annotations), key=lambda path: (path.count("/"), path))
    directory = source_directory(source, settings.videos)
    return SourceTree(
        source,
        source,
        settings,
        names,
        names,
        _videos(directory, settings, None if settings.videos else listing),
        listing,
        {file.path: file for file in listing.annotations},
    )


def _tree_of_table(source: Path, settings: ManifestSettings) -> SourceTree:
    """A source that is one annotation file: those beside it are read for names of classes alone."""
    if not source.is_file():
        raise SettingsError(f"the annotation table {source} is not there")
    folder = source.parent
    beside = sorted(path.name for path in folder.iterdir() if suffix_of(path.name) in ANNOTATION_SUFFIXES)
    directory = source_directory(source, settings.videos)
    return SourceTree(source, folder, settings, [source.name], beside, _videos(directory, settings, None))


def _videos(directory: Path, settings: ManifestSettings, known: Listing | None) -> Videos:
    if settings.videos and not directory.is_dir():
        raise SettingsError(f"manifest.videos is {settings.videos}, but {directory} is not a folder")

    def list_all() -> Listing:
        return list_videos(directory, settings.include, follow_links=settings.follow_links)

    videos = Videos(directory, list_all, follow_links=settings.follow_links, known=known)
    if settings.videos:
        videos.listing()
    return videos


def class_names_of(tree: SourceTree) -> ClassNames | None:
    """Return the classes of `manifest.class_names`; None without the setting.

    Raises:
        SettingsError: if the file is not there or cannot be understood.
    """
    setting = tree.settings.class_names
    if not setting:
        return None
    return read_class_names(place_of_setting(tree.folder, setting), f"manifest.class_names ({setting})")


def place_of_setting(folder: Path, setting: str) -> Path:
    """Return the file that a setting names; a relative one is beside the source, or else where the command runs."""
    place = open_address(setting)
    if is_remote(place) or place.is_absolute():
        return place
    beside = folder / place
    return beside if beside.is_file() or not place.is_file() else place
