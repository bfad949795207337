"""The one error a caller of the simulator has to expect."""


class SimulationError(ValueError):
    """A request the simulator cannot honour.

    The message is one sentence that names the option and says how to mend it.
    """
