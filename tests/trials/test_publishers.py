"""Several real publishers on PostgreSQL, killed and cut off: some order explains everything that each of them saw.

``CONTIMG_PUBLISHERS=60`` lets them work for a minute.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import empty_schema, postgres_server

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("CONTIMG_PUBLISHERS", "6"))


@pytest.mark.postgres
def test_some_order_explains_everything():
    with empty_schema(postgres_server()) as url:
        command = [sys.executable, "-m", "tests.trials.publishers", "--url", url, "--seconds", str(SECONDS)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr[-4000:]
    said = json.loads(done.stdout)
    assert (said["unexplained"], said["problems"]) == ({}, [])
    assert said["operations"] > 20 and said["killed"] + said["cut"] > 2, "otherwise this would prove nothing"
