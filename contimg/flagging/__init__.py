"""Flagging of a tile during its conversion: invalid samples, interference, dead antennas.

- `flag_codes`: why a sample is flagged
- `block_flagger`: the first phase, block by block of baselines; `findings`: its result
- `whole_tile`: the second phase, from these findings
- `amplitudes`, `polarisation_residual`, `aoflagger`: what the searches are made of
"""
