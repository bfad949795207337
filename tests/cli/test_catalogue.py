"""`contimg catalogue make`: from the files of surveys to a catalogue of a strip."""

import numpy as np
import pytest

from contimg.sky.catalogue import read_catalogue
from contimg.sky.strips import catalogue_at
from tests.support import surveys


def test_two_surveys_give_fluxes_and_indices(program, tmp_path):
    nvss = surveys.vizier_text(tmp_path / "nvss.tsv", extra=["X\t13 31 08.29\t+30 30 32.9\tbad\t1.0\t<"])
    tgss = surveys.pybdsf_table(tmp_path / "tgss.fits", 147.5e6)
    out = tmp_path / "strip.fits"
    done = program(
        "catalogue", "make", "--from", "nvss", nvss, "--from", "tgss", tgss, "--dec", 30.5, "--width", 6, out
    )
    lines = done.out.splitlines()
    assert lines[0].startswith("1 row of nvss.tsv was skipped: 'bad' in column 'S1.4'")
    assert lines[-1] == f"{out}: 3 sources from +27.5 to +33.5 deg"
    found = read_catalogue(out)
    known = sorted(surveys.SOURCES, key=lambda source: source[0])
    order = np.argsort(found.name)
    assert found.name[order].tolist() == [source[0] for source in known]
    np.testing.assert_allclose(found.flux_jy[order], [source[3] for source in known], rtol=1e-6)
    np.testing.assert_allclose(found.spectral_index[order], [source[4] for source in known], atol=1e-6)
    assert found.assumed == ()


def test_one_survey_in_two_files_into_a_folder_of_strips(program, tmp_path):
    files = [surveys.vizier_text(tmp_path / "a.tsv", sources=surveys.SOURCES[:1]),
             surveys.vizier_text(tmp_path / "b.tsv", sources=surveys.SOURCES[1:])]  # fmt: skip
    folder = tmp_path / "strips"
    done = program("catalogue", "make", "--from", "nvss", *files, "--dec", "30.5", folder)
    assert done.out.splitlines()[-1] == f"{folder}/strip_+30.50.fits: 3 sources from +25.5 to +35.5 deg"
    assert read_catalogue(catalogue_at(folder, 31.0)).assumed == ("spectral_index",)


def test_the_whole_sky(program, tmp_path):
    nvss = surveys.heasarc_tdat(tmp_path / "heasarc_nvss.tdat.gz")
    program("catalogue", "make", "--from", "nvss", nvss, tmp_path / "sky.fits")
    assert len(read_catalogue(tmp_path / "sky.fits")) == 4


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (("--from", "nvss", "n.csv", "--dec", "-80", "o.fits"), 1, "n.csv: no source from -85.0 to -75.0 deg: correct"),
    (("--from", "nvss", "n.csv", "o.csv"), 1, "o.csv cannot be the catalogue: name a folder or a file with the suffix"),
    (("--from", "nvss", "n.csv", "--from", "tgss", "o.fits"), 2, "2 --from and 1 files: give --from once, or once for"),
    (("--from", "sumss", "n.csv", "o.fits"), 2, "'sumss' is not one of 'nvss', 'first'"),
    (("--from", "tgss", "n.csv", "o.fits"), 1, "has no column of TGSS's flux density (Stotal or Total_flux or"),
    (("--from", "nvss", "gone.csv", "o.fits"), 1, "gone.csv does not exist"),
    (("--from", "nvss", "n.fits", "n.fits"), 1, "n.fits is one of the surveys' files: name another"),
])  # fmt: skip
def test_what_cannot_be_made_is_one_sentence(program, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    surveys.vizier_plain_csv(tmp_path / "n.csv")
    surveys.vizier_table(tmp_path / "n.fits")
    done = program("catalogue", "make", *arguments)
    assert done.code == code
    assert said in " ".join(done.err.split())
    assert not (tmp_path / "o.fits").exists()
