"""Commands of operators (status, why, inspect, reproduce, prune), and checks and resources of a run."""
