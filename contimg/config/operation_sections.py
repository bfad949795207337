"""The configuration's sections about running for years: `contimg watch`, and what is kept how long."""

from __future__ import annotations

from pydantic import Field

from contimg.config.key_types import Days, NotNegative, PositiveHours, PositiveSeconds, Seconds, Section


class WatchOptions(Section):
    """When `contimg watch` looks, runs and stops, and whom it calls."""

    poll_s: PositiveSeconds = Field(
        30.0, description="the inbox is listed this often, where the kernel tells nothing [s]"
    )
    quiet_s: Seconds = Field(60.0, description="a change is followed once the inbox has been quiet this long [s]")
    max_wait_s: PositiveSeconds = Field(300.0, description="or after this long, though files keep coming, or none [s]")
    rerun_s: PositiveSeconds = Field(
        1800.0, description="open work that did not change is tried again after this: decisions of people [s]"
    )
    retry_s: PositiveSeconds = Field(
        60.0, description="a run that failed is repeated after this, then after twice as long, up to an hour [s]"
    )
    stop_s: Seconds = Field(60.0, description="at SIGTERM running jobs have this long to finish [s]")
    min_free_gb: NotNegative = Field(
        20.0, description="with less room on a disk of stage, products or state no job is started [GB]"
    )
    no_data_h: PositiveHours = Field(2.0, description="an inbox without any change for this long is an alarm [h]")
    hook: str | None = Field(
        None,
        description="command for alarms; added to it: the alarm, as in docs/errors.md (such as held), and a sentence",
    )


class Limit(Section):
    """What is older than days, or more than gb (the oldest first), goes; null: no limit."""

    days: Days | None = Field(None, description="largest age [days]")
    gb: NotNegative | None = Field(None, description="largest size of all of it [GB]")


class RetentionOptions(Section):
    """How long is kept what grows; applied at the end of each run. Inputs, archive and what open groups need stay."""

    after_run: bool = Field(True, description="apply the limits at the end of each run; false: contimg retain, by hand")
    ms: Limit = Field(Limit(days=7.0), description="MSs of settled groups that `keep` keeps, and those of no group")
    calibrated: Limit = Field(Limit(days=7.0), description="calibrated MSs, likewise")
    image: Limit = Field(Limit(days=90.0), description="images of the tiles of settled groups; their twins stay")
    logs: Limit = Field(Limit(days=180.0, gb=10.0), description="logs of the jobs of settled groups")
    benchmarks: Limit = Field(Limit(days=800.0, gb=10.0), description="what their jobs took and asked for")
    bundle: Limit = Field(Limit(days=30.0), description="staged bundles of mosaics whose copy in the archive is whole")
    snakemake: Limit = Field(Limit(days=30.0, gb=10.0), description="Snakemake's logs, and records of what is gone")
    cache: Limit = Field(Limit(days=30.0, gb=10.0), description="headers and digests that were read before")
    raw: Limit = Field(
        Limit(days=30.0), description="copies of files whose tiles wait for a calibrator; age of the data"
    )
    quarantine: Limit = Field(Limit(days=400.0, gb=1.0), description="lists of files that were set aside")
