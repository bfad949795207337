"""CASA leaves nothing behind: tested in a fresh process with an empty home and working directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import contimg
from contimg import plotting
from contimg.errors import ContimgError

SCRIPT = """
import sys
from pathlib import Path
from contimg.calibration import casa
with casa.tasks(Path(sys.argv[1])) as tasks:
    tasks.casalog.post("said to the log")
with casa.tasks() as tasks:
    tasks.casalog.post("said to nobody")
    print("printed meanwhile")
print(tasks.__name__, sys.argv[1:])
"""


@pytest.fixture
def clean(tmp_path):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in {"CASASITECONFIG", "MPLCONFIGDIR"}}
    environment |= {"HOME": str(home), "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(contimg.__file__).parents[1])}
    return home, work, environment


def _run(script, arguments, work, environment):
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=work, env=environment, capture_output=True, text=True
    )


def test_nothing_in_home_or_working_directory_and_log_where_asked(clean, tmp_path):
    home, work, environment = clean
    log = tmp_path / "casa.log"
    # Options that CASA's own parser would take for its own must not reach it.
    done = _run(SCRIPT, [str(log), "--nositeconfig"], work, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "casatasks"
    assert "meanwhile" not in done.stdout
    assert list(home.rglob("*")) == []
    assert list(work.rglob("*")) == []
    assert "said to the log" in log.read_text()
    assert "said to nobody" not in log.read_text()


def test_configuration_of_the_user_is_not_read(clean):
    home, work, environment = clean
    (home / ".casa").mkdir()
    (home / ".casa" / "config.py").write_text("raise SystemExit('the user configuration was read')")
    script = "from contimg.calibration import casa\nwith casa.tasks(): pass\nfrom casaconfig import config\n"
    script += "print(config.measurespath, config.measures_auto_update, config.data_auto_update)"
    done = _run(script, [], work, environment)
    assert done.returncode == 0, done.stderr
    path, *updates = done.stdout.split()
    assert path.endswith("casadata/__data__")
    assert updates == ["False", "False"]


def test_casa_imported_by_somebody_else_first_is_refused(clean):
    _, work, environment = clean
    script = "import casaconfig.config\nfrom contimg.calibration import casa\nwith casa.tasks(): pass"
    done = _run(script, [], work, environment)
    assert done.returncode != 0
    assert "use contimg.calibration.casa.tasks instead" in done.stderr


def test_matplotlib_cache_is_the_users_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    assert plotting.matplotlib_cache() == tmp_path


def test_matplotlib_cache_of_another_user_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"contimg-matplotlib-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(ContimgError, match="belongs to another user"):
        plotting.matplotlib_cache()
