"""The error that the simulator raises."""


class SimulationError(ValueError):
    """Options that cannot be simulated.

    The message is one sentence that names the option and the remedy.
    """
