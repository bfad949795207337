"""Several real publishers on PostgreSQL, killed and cut off: some order explains everything that each of them saw.

``CONTIMG_PUBLISHERS=60`` lets them work for a minute.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import own_server
from tests.support.databases import empty_schema, postgres_server

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("CONTIMG_PUBLISHERS", "6"))


def tried(*options: str) -> dict:
    """Let publishers work; return what was counted, once nothing was left unexplained."""
    command = [sys.executable, "-m", "tests.trials.publishers", "--seconds", str(SECONDS), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr[-4000:]
    said = json.loads(done.stdout)
    assert (said["unexplained"], said["problems"]) == ({}, [])
    assert said["operations"] > 20 and said["killed"] + said["cut"] > 2, "otherwise this would prove nothing"
    return said


@pytest.mark.postgres
def test_some_order_explains_everything():
    with empty_schema(postgres_server()) as url:
        tried("--url", url)


@pytest.mark.postgres
def test_some_order_explains_everything_while_the_server_crashes():
    if own_server.programs() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(own_server.HOW)
    assert tried("--seed", "8")["crashed"] > 0, "with this seed it is the first thing that happens"
