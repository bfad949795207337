"""What a person or a monitor should hear of: mosaics that are held, missing data, missing calibrators."""

from __future__ import annotations

from contimg.config import Config
from contimg.operations.status import group_states
from contimg.plan.model import Plan

EVENTS = ("failed", "held", "low_disk", "no_data", "no_calibrator")
"""The kinds of alarm; `failed` and `low_disk` are raised by those who see them."""


def alarms(config: Config, plan: Plan, silent_s: float) -> dict[str, str]:
    """Return the alarms that a plan and the state of the stage give, by kind, each as a sentence.

    Parameters
    ----------
    config : Config
    plan : Plan
    silent_s : float
        How long the inbox has not changed [s].
    """
    found: dict[str, str] = {}
    states, _ = group_states(config, everything=False)
    held = [one for one in states if one["state"] == "held" or one["error"]]
    if held:
        first = held[0]
        found["held"] = f"{len(held)} wait for a person, first {first['mosaic']}: {first['next']}"
    lacking = [one for one in plan.waiting if one.code == "no_bandpass"]
    if lacking:
        found["no_calibrator"] = f"{len(lacking)} wait for a calibrator, first {lacking[0].id}: {lacking[0].message}"
    hours = silent_s / 3600
    if hours >= config.watch.no_data_h:
        found["no_data"] = (
            f"nothing came into {config.paths.incoming} for {hours:.1f} h "
            f"(watch.no_data_h is {config.watch.no_data_h:g}): look at the correlator and the inbox's mount"
        )
    return found
