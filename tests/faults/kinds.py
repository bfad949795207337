"""Each kind of fault: where and how it strikes, as a trial on a bench."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable

from contimg.publishing import checkpoints
from tests.faults import injection
from tests.faults.trials import CLEAN, KILLED, Bench, Trial, in_child, work

Prepare = Callable[[str], None]


def failing(bench: Bench, prepare: Prepare) -> Callable[[str], str]:
    """Return the attempt to work on a mosaic after `prepare` was called with it, in a child."""

    def attempt(mosaic_id: str) -> str:
        def action() -> None:
            prepare(mosaic_id)
            work(mosaic_id, bench.config)

        return in_child(action)

    return attempt


def checkpoint_kill(bench: Bench, number: int) -> Trial:
    """SIGKILL at a step boundary; every third one twice at the same place: the second hits a rerun."""
    name = checkpoints.NAMES[number % len(checkpoints.NAMES)]
    occurrence = bench.random.randint(1, 10) if name == "publish:file" else 1
    killed = failing(bench, lambda mosaic_id: injection.kill_at(name, occurrence))
    trial = bench.trial(f"SIGKILL at {name}", str(occurrence), *[killed] * (2 if number % 3 == 2 else 1))
    if trial.ended[0] != KILLED:
        trial.problems.append(f"the checkpoint {name} was never passed")
    return trial


def random_kill(bench: Bench, number: int) -> Trial:
    """SIGKILL at random instants, up to three times in a row."""
    delays_s = []

    def killed(mosaic_id: str) -> str:
        delays_s.append(bench.random.uniform(0, 1.1 * bench.duration_s))
        ended = in_child(lambda: work(mosaic_id, bench.config), kill_after_s=delays_s[-1])
        # The load of the machine changes: keep aiming at the time that a run takes now.
        bench.duration_s *= 0.85 if ended == CLEAN else 1.05
        return ended

    trial = bench.trial("SIGKILL at random", "", *[killed] * (1 + number % 3))
    trial.detail = " ".join(f"{delay_s:.4f}" for delay_s in delays_s)
    return trial


def system_call(bench: Bench, number: int) -> Trial:
    """One refused system call, or all from one on."""
    refusals = [refusal for refusal in injection.REFUSALS if bench.calls[refusal[0]]]
    name, error = refusals[number % len(refusals)]
    occurrence = bench.random.randint(1, bench.calls[name])
    persistent = bench.random.random() < 0.5

    def prepare(mosaic_id: str) -> None:
        injection.refuse_call(name, occurrence, error, persistent=persistent)

    detail = f"{'from' if persistent else 'at'} call {occurrence}"
    return bench.trial(f"{errno.errorcode[error]} from {name}", detail, failing(bench, prepare))


def database(bench: Bench, number: int) -> Trial:
    """A refused statement or commit; or the first statement after the rename to the final name."""
    when = ("statement", "before commit", "after commit", "after rename")[number % 4]
    if when == "after rename":

        def prepare(mosaic_id: str) -> None:
            def refuse() -> None:
                injection.refuse_database(1, when="statement", backend=bench.backend)

            injection.at_checkpoint("publish:renamed", refuse)

        return bench.trial("database error after rename", "", failing(bench, prepare))
    method = "do_execute" if when == "statement" else "do_commit"
    occurrence = bench.random.randint(1, bench.database_calls[method])

    def prepare(mosaic_id: str) -> None:
        injection.refuse_database(occurrence, when=when, backend=bench.backend)

    return bench.trial(f"database error, {when}", str(occurrence), failing(bench, prepare))


def outer_world(bench: Bench, number: int) -> Trial:
    """What changes around a publisher while it works."""
    layout = bench.config.layout

    def vanish(mosaic_id: str) -> None:
        def remove() -> None:
            for path in (layout.products / ".incoming").glob(f"{mosaic_id}.*"):
                shutil.rmtree(path)

        injection.at_checkpoint("publish:file", remove)

    def alter_source(mosaic_id: str) -> None:
        staged = layout.product("registered", mosaic_id) / "v1" / f"{mosaic_id}.rms.fits"

        def alter() -> None:
            content = bytearray(staged.read_bytes())
            content[-1] ^= 1
            os.unlink(staged)  # the bundle's copy only: the mosaic keeps its bytes
            staged.write_bytes(content)

        injection.at_checkpoint("publish:incoming", alter)

    choices: dict[str, Prepare] = {
        "destination vanished": vanish,
        "source altered during the copy": alter_source,
        "short writes": lambda _: injection.short_writes(),
        "wrong byte written": lambda _: injection.flip_written_bit(bench.random.randint(1, bench.calls["write"])),
        "clock a day ahead": lambda _: injection.jump_clock(86400.0, 1),
        "clock a day back": lambda _: injection.jump_clock(-86400.0, 1),
    }
    name = list(choices)[number % len(choices)]
    return bench.trial(name, "", failing(bench, choices[name]))


KINDS = (checkpoint_kill, random_kill, system_call, database, outer_world)


def run(bench: Bench, trials: int) -> list[Trial]:
    """Run that many trials, all kinds in turn."""
    bench.measure()
    return [KINDS[number % len(KINDS)](bench, number // len(KINDS)) for number in range(trials)]
