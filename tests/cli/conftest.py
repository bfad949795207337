"""The program `contimg` within the test's process: exit code and output as a shell would see them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from contimg.cli import run
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from tests.support import mosaics


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str  # without the options that commands in messages have, which `raw` keeps
    err: str
    raw: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The error, which is one line of standard error and nothing else."""
        assert self.out == "" and self.err.count("\n") == 1 and self.err.startswith("contimg: "), self
        return self.err.removeprefix("contimg: ").rstrip("\n")


@pytest.fixture
def program(sqlite_config, tmp_path, monkeypatch, capsys):
    """Return a function that runs `contimg` with the configuration of the test."""
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        yaml.safe_dump(
            {
                "paths": sqlite_config.paths.model_dump(mode="json"),
                "crossmatch": {"enabled": False},
                "publish": {"update_archive": False, "read_only": False},
            }
        )
    )

    def call(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["contimg", "-c", str(overlay), *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        plain = (text.replace(f"contimg -c {overlay} ", "contimg ") for text in (out, err))
        return Done(ended.value.code or 0, *plain, raw=out + err)

    return call


@pytest.fixture
def publish(sqlite_config):
    """Return a function that makes a mosaic, registers it and publishes it or holds it."""

    def make(**mosaic):
        mosaic_id = mosaics.make_mosaic(sqlite_config, **mosaic)
        register_mosaic(mosaic_id, sqlite_config)
        return publish_mosaic(mosaic_id, sqlite_config, waits_s=())

    return make
