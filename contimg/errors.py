"""The exceptions of contimg, each one sentence that names the file or key and the remedy.

    ContimgError            every error meant for a person; the CLI prints it and exits with code 1
    ├── ConfigError         a key of the configuration is unknown, missing or of the wrong type or unit
    ├── InputError          an input file or folder is missing, unreadable or not what it says
    ├── UnknownIdError      no tile, calibration, group or mosaic has that id
    ├── BusyError           another run or publisher holds what this one needs
    └── RegistryError       the registry or the archive refused an operation

Bad *data* is not an error but a verdict (see `contimg.products.twin`).
"""


class ContimgError(Exception):
    """Base of every error that contimg raises on purpose."""


class ConfigError(ContimgError):
    """A key of the configuration is unknown, missing or of the wrong type or unit."""


class InputError(ContimgError):
    """An input file or folder is missing, unreadable or not what it says."""


class UnknownIdError(ContimgError):
    """No tile, calibration, group or mosaic has the id that was asked for."""


class BusyError(ContimgError):
    """Another run or publisher holds what this one needs."""


class RegistryError(ContimgError):
    """The registry or the archive refused an operation."""
