"""The parts of a plan: tiles, groups, calibrations, choices, and what waits, is late or was set aside."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from contimg import naming
from contimg.correlator.inbox import Quarantined
from contimg.correlator.setup import CorrelatorSetup


@dataclass(frozen=True)
class FileSignature:
    """Name, size (bytes) and modification time (ns since 1970) of a file, which change when the file is replaced."""

    name: str
    size: int
    mtime_ns: int

    def __str__(self) -> str:
        return f"{self.name}:{self.size}:{self.mtime_ns}"

    @classmethod
    def from_json(cls, content: str | Mapping[str, Any]) -> FileSignature:
        """Read a signature of a frozen plan; older plans hold it as the text ``name:size:mtime_ns``.

        The name of a subband file has colons of its own, so that the text is split from its end.
        """
        if isinstance(content, str):
            name, size, mtime_ns = content.rsplit(":", 2)
            return cls(name, int(size), int(mtime_ns))
        return cls(**content)


@dataclass(frozen=True)
class PlannedTile:
    """A tile (309 s of data) that is ready: its subband files and what their headers say.

    Times are UTC MJD (days): the centre of the first integration and of the last. When the ``signature`` of one
    of its files changes, the tile is made again.
    """

    id: str
    name_time: str
    files: tuple[str, ...]
    subbands: tuple[int, ...]
    missing: tuple[int, ...]
    signature: tuple[FileSignature, ...]
    start_mjd: float
    end_mjd: float
    integration_s: float
    dec_app_deg: float
    longitude_rad: float
    latitude_rad: float
    synthetic: bool
    setup: CorrelatorSetup = field(default_factory=CorrelatorSetup)
    products: str = ""

    @property
    def mid_mjd(self) -> float:
        """The middle of the tile (UTC MJD)."""
        return (self.start_mjd + self.end_mjd) / 2

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the subband files, without their folders."""
        return tuple(path.rpartition("/")[2] for path in self.files)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PlannedTile:
        """Read a tile of a frozen plan."""
        signature = tuple(FileSignature.from_json(one) for one in content["signature"])
        return cls(**_tuples(content) | {"signature": signature, "setup": CorrelatorSetup.from_json(content["setup"])})


@dataclass(frozen=True)
class Group:
    """The tiles of one mosaic: up to ``group.tiles`` of one scan, in time order."""

    id: str
    tiles: tuple[str, ...]

    @property
    def mosaic_id(self) -> str:
        """The id of the group's mosaic."""
        return naming.mosaic_id(self.id)


@dataclass(frozen=True)
class CommittedTile:
    """A tile as it was when its group was committed; ``made`` if its MS, calibrated MS or image is on the stage."""

    id: str
    name_time: str
    files: tuple[str, ...]
    made: bool = False

    @property
    def subbands(self) -> frozenset[int]:
        """The subbands that it was made from."""
        return frozenset(parsed.subband for name in self.files if (parsed := naming.SubbandName.parse(name)))


@dataclass(frozen=True)
class CommittedGroup:
    """A group whose membership is fixed; settled when nothing is left to do for it.

    Of a group that is ``pruned``, products were removed on purpose after it was settled: it is not looked at again
    although its night is asked for by name.
    """

    id: str
    tiles: tuple[CommittedTile, ...]
    settled: bool
    pruned: bool = False


@dataclass(frozen=True)
class CalibrationRecord:
    """A calibration that has been solved; ``reason`` says why it is certified or not."""

    id: str
    type: str
    tile: str
    mid_mjd: float
    dec_app_deg: float
    certified: bool
    reason: str
    calibrator: str | None
    bandpass: str | None
    setup: CorrelatorSetup = field(default_factory=CorrelatorSetup)


@dataclass(frozen=True)
class PlannedCalibration:
    """A calibration that tiles of the plan use: how it is, or was, solved.

    ``type`` is ``bandpass`` (K, B and G on a calibrator) or ``gains`` (G on the catalogue sky, on top
    of the calibration ``bandpass``). ``previous`` is the certified bandpass before it, which it is compared with.
    ``unsteady``: its calibrator varies so much that another one in reach is preferred.
    """

    id: str
    type: str
    tile: str
    mid_mjd: float
    dec_app_deg: float
    calibrator: str | None
    bandpass: str | None
    setup: CorrelatorSetup = field(default_factory=CorrelatorSetup)
    previous: str | None = None
    unsteady: bool = False

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PlannedCalibration:
        """Read a calibration of a frozen plan."""
        return cls(**dict(content) | {"setup": CorrelatorSetup.from_json(content["setup"])})


@dataclass(frozen=True)
class Choice:
    """The calibrations that a tile uses, why, and every candidate that was rejected with its reason.

    Attributes
    ----------
    bandpass : str
        Id of the calibration whose delays and bandpass are applied.
    gains : str or None
        Id of the nearest calibration whose gains are applied; None where none is within its validity: no gains are
        applied then, not those of the bandpass calibration either.
    why : tuple of str
        One sentence for each calibration.
    rejected : tuple of (str, str, str)
        Candidate, what for (``bandpass``, ``gains`` or ``any``) and the reason against it.
    partner : str or None
        Id of the calibration on the other side of the tile in time; gains are interpolated between it and ``gains``.
    """

    bandpass: str
    gains: str | None
    why: tuple[str, ...]
    rejected: tuple[tuple[str, str, str], ...]
    partner: str | None = None

    @property
    def calibrations(self) -> tuple[str, ...]:
        """The calibrations to apply together: first that of the bandpass, then those of the gains, the nearest first.

        The first stands alone where its own gains are applied, and where none are (``gains`` is None).
        """
        gains = tuple(one for one in (self.gains, self.partner) if one is not None)
        return (self.bandpass,) if gains in ((), (self.bandpass,)) else (self.bandpass, *gains)


@dataclass(frozen=True)
class Waiting:
    """A tile or group (``what``) that waits, the reason as a code and a sentence, and since when (UTC).

    ``ready`` is when it goes on although nothing more comes (UTC, YYYY-MM-DDTHH:MM:SS), where time alone decides that.
    """

    id: str
    what: str
    code: str
    message: str
    since: str
    ready: str | None = None


@dataclass(frozen=True)
class Late:
    """Files that came after their group was settled, and the action by ``group.late``: reprocess or report."""

    group: str
    tile: str
    files: tuple[str, ...]
    action: str


@dataclass
class Plan:
    """The tiles, groups, calibrations and choices of a run, fixed before its first job.

    Attributes
    ----------
    tiles : dict of str to PlannedTile
        The tiles of the groups, and those that calibrations are solved on.
    groups : dict of str to Group
        Those with open work, or all of the nights asked for.
    calibrations : dict of str to PlannedCalibration
    choices : dict of str to Choice
        By tile.
    quarantined, waiting, late : list
    notes : list of str
        What a person should know of the plan: strips without a calibrator, and what would calibrate them.
    other_nights : dict of str to int
        Tiles with open work that `nights` leaves out, by UTC date.
    open_files : int
        Files of the inbox that the correlator has not closed.
    """

    tiles: dict[str, PlannedTile] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    calibrations: dict[str, PlannedCalibration] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    other_nights: dict[str, int] = field(default_factory=dict)
    open_files: int = 0

    def only(self, groups: Collection[str]) -> Plan:
        """Return the plan of some of its groups, with the tiles and calibrations that these use."""
        kept = {key: group for key, group in self.groups.items() if key in groups}
        members = {tile for group in kept.values() for tile in group.tiles}
        choices = {tile: choice for tile, choice in self.choices.items() if tile in members}
        used = {name for choice in choices.values() for name in choice.calibrations}
        used |= {base for name in used if (base := self.calibrations[name].bandpass) is not None}
        calibrations = {name: one for name, one in self.calibrations.items() if name in used}
        needed = members | {one.tile for one in calibrations.values()}
        tiles = {key: tile for key, tile in self.tiles.items() if key in needed}
        return replace(self, tiles=tiles, groups=kept, calibrations=calibrations, choices=choices)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON content."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        """Read a plan back from its JSON content."""

        def each(kind: type, name: str) -> dict[str, Any]:
            return {key: kind(**_tuples(value)) for key, value in content[name].items()}

        return cls(
            {key: PlannedTile.from_json(value) for key, value in content["tiles"].items()},
            each(Group, "groups"),
            {key: PlannedCalibration.from_json(value) for key, value in content["calibrations"].items()},
            each(Choice, "choices"),
            [Quarantined(**value) for value in content["quarantined"]],
            [Waiting(**value) for value in content["waiting"]],
            [Late(**_tuples(value)) for value in content["late"]],
            list(content.get("notes", [])),
            dict(content.get("other_nights", {})),
            content.get("open_files", 0),
        )


def _tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON content with its lists turned into tuples, at all levels below the keys."""

    def convert(value: Any) -> Any:
        return tuple(convert(item) for item in value) if isinstance(value, list) else value

    return {key: convert(value) for key, value in record.items()}
