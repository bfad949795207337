"""The configuration: typed keys with their units in their names; unknown keys are errors.

`load` checks the mapping that Snakemake merged from ``config.yaml`` and its overlays, `load_files` reads and merges the
files itself. Both return immutable sections, and raise an error of one sentence on a bad key.
"""

from contimg.config.default_text import as_yaml
from contimg.config.json_schema import as_json_schema
from contimg.config.key_types import Section
from contimg.config.loading import check_files, from_sections, has_relative_paths, load, load_files
from contimg.config.operation_sections import Limit, RetentionOptions, WatchOptions
from contimg.config.qa_section import QaOptions
from contimg.config.science_sections import (
    BeamOptions,
    CalibrationOptions,
    CrossmatchOptions,
    FlagOptions,
    ImageOptions,
    MosaicOptions,
    SelfcalOptions,
    SkyOptions,
    TemplateOptions,
)
from contimg.config.sections import (
    Config,
    GroupOptions,
    IngestOptions,
    PathOptions,
    PublishOptions,
    RegistryOptions,
)
from contimg.config.workflow_files import default_file, schema_file, workflow_folder

__all__ = [
    "BeamOptions",
    "CalibrationOptions",
    "Config",
    "CrossmatchOptions",
    "FlagOptions",
    "GroupOptions",
    "ImageOptions",
    "IngestOptions",
    "Limit",
    "MosaicOptions",
    "PathOptions",
    "PublishOptions",
    "QaOptions",
    "RegistryOptions",
    "RetentionOptions",
    "Section",
    "SelfcalOptions",
    "SkyOptions",
    "TemplateOptions",
    "WatchOptions",
    "as_json_schema",
    "as_yaml",
    "check_files",
    "default_file",
    "from_sections",
    "has_relative_paths",
    "load",
    "load_files",
    "schema_file",
    "workflow_folder",
]
