"""Build step of the wheel: the workflow's own files go into ``contimg/_workflow``, where `contimg run` finds them."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
WORKFLOW = (
    "Snakefile",
    "config.yaml",
    "config.schema.json",
    "rules/*.smk",
    "scripts/*.py",
    "report/*.rst",
    "envs/*",
    "profiles/*/*",
)


class BuildWithWorkflow(build_py):
    """Copy the workflow's files into the package that is built; in an editable install they stay where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for pattern in WORKFLOW:
            found = sorted(ROOT.glob(pattern))
            if not found:
                raise SystemExit(f"{ROOT / pattern} is missing: build from a clone, or from a source archive with it")
            for source in found:
                target = Path(self.build_lib, "contimg", "_workflow", source.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": BuildWithWorkflow})
