"""Verdicts: the one table of thresholds, and the reasons that follow from measured numbers.

A *gate* is a limit on one number of a twin's ``qa``. All gates of all kinds of product are lines of `table`; their
limits are keys of the configuration, which hold each threshold once. `judge` is a pure function of the kind, the
numbers and the options, so that a verdict can be judged again from a twin alone when a threshold changes
(`judge_again`), without repeating the work.

How a wing adds a gate
----------------------
1. Store the number in the twin's ``qa``, whatever its value; None where it could not be measured. A condition on a
   ratio of two counts is a number too: store the ratio.
2. Add the threshold to the wing's section of `contimg.config` (or take one that is there).
3. Add a line to the block of the product's kind in `contimg/products/gates/table.py`::

       Gate("calibration", "snr_median", "median S/N", "", "min", "calibration.min_median_snr", "failed"),

   Two lines with one number give it two limits: of those that are crossed, the failed one becomes the reason.
4. Call ``gates.judge(kind, qa, {"calibration": options})`` once, when every number has been measured, and write the
   options into the twin's ``parameters`` under the same names, so that ``judge`` reads the twin's own.

What is not a limit on a number (no data, an input that failed, a file that is damaged) is a `Reason` that the wing
makes itself; `judge_again` keeps those.
"""

from contimg.products.gates.gate import Gate, Options, Sample
from contimg.products.gates.judging import commissioning, gates_of, judge, judge_again, threshold_keys
from contimg.products.gates.table import GATES

__all__ = ["GATES", "Gate", "Options", "Sample", "commissioning", "gates_of", "judge", "judge_again", "threshold_keys"]
