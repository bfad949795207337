"""What a person gives with a decision: a reason in one line, and a name; both stand in records, tables and pages."""

from __future__ import annotations

from contimg.errors import InputError
from contimg.storage.process import one_line, operator

LONGEST_REASON = 1000  # characters
_LONGEST_NAME = 200


def require_reason(about: str, reason: str) -> None:
    """Raise unless a reason says something, in one line of bounded length.

    Parameters
    ----------
    about : str
        What the decision is about, as the message begins: an id, or a command.
    reason : str

    Raises
    ------
    InputError
        If it is blank, too long, no text in the locale's encoding, or holds a line break or control character, which
        could forge a line.
    """
    if not reason.strip():
        raise InputError(f"{about}: no reason given: say why with --reason '...'")
    if len(reason) > LONGEST_REASON:
        raise InputError(
            f"{about}: the reason has {len(reason)} characters: write it in {LONGEST_REASON} at most, and the rest "
            "into a file that it names"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in reason):
        raise InputError(
            f"{about}: the reason ({one_line(reason)}) is not written as this shell's locale says: export "
            "LC_ALL=C.UTF-8, then type it again"
        )
    if one_line(reason) != reason:
        raise InputError(
            f"{about}: the reason holds a line break or control character ({one_line(reason)}): write it in one line"
        )


def deciding_operator(about: str) -> str:
    """Return who decides, as `contimg.storage.process.operator` names them.

    Raises
    ------
    InputError
        If that name is too long for the records.
    """
    by = operator()
    if len(by) > _LONGEST_NAME:
        raise InputError(f"{about}: your name has {len(by)} characters: set LOGNAME to one of {_LONGEST_NAME} at most")
    return by
