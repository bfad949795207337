"""The configuration: every key typed, its unit in its name, unknown keys refused.

`load` takes the merged mapping that Snakemake read from ``config.yaml`` and its overlays, `load_files` reads
the files itself; both return frozen sections, and a bad key gives one sentence.
"""

from contimg.config.default_text import as_yaml
from contimg.config.loading import check_files, default_file, from_sections, load, load_files
from contimg.config.sections import (
    BeamOptions,
    CalibrationOptions,
    Config,
    CrossmatchOptions,
    FlagOptions,
    GroupOptions,
    ImageOptions,
    IngestOptions,
    MosaicOptions,
    PathOptions,
    PublishOptions,
    QaOptions,
    RegistryOptions,
    Section,
    SelfcalOptions,
    SkyOptions,
)

__all__ = [
    "BeamOptions",
    "CalibrationOptions",
    "Config",
    "CrossmatchOptions",
    "FlagOptions",
    "GroupOptions",
    "ImageOptions",
    "IngestOptions",
    "MosaicOptions",
    "PathOptions",
    "PublishOptions",
    "QaOptions",
    "RegistryOptions",
    "Section",
    "SelfcalOptions",
    "SkyOptions",
    "as_yaml",
    "check_files",
    "default_file",
    "from_sections",
    "load",
    "load_files",
]
