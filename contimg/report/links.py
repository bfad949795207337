"""Links from a mosaic's page: to its files, to the gallery and to the other epochs of its field.

The page stands beside the files in the bundle, and in ``reports/`` of the stage before that. Links are those of the
bundle; a script of a few lines turns them into those of the stage there, and takes away what leads to the archive where
the page is not in it, and what asks for a decision where it is. A bundle that was withdrawn says so.
"""

from __future__ import annotations

from urllib.parse import quote

from contimg.naming import date
from contimg.products.facts import CrossmatchFiles, MosaicFiles, crossmatch_facts, has_image, mosaic_image_facts
from contimg.products.twin import Twin
from contimg.report.markup import safe

# Without '<' and '&', so that the page stays well-formed XML.
SCRIPT = r"""<script>
(function () {
  var here = location.pathname;
  var onStage = /\/reports\/\d{4}-\d\d-\d\d\/[^\/]+\.html$/.test(here);
  var published = /\/mosaics\/\d{4}-\d\d-\d\d\/[^\/]+\/data\/[^\/]+\.html$/.test(here);
  var withdrawn = here.indexOf('/.withdrawn/mosaics/') !== -1;
  var inArchive = published ? withdrawn === false : false;
  document.querySelectorAll('a[data-stage]').forEach(function (link) {
    if (onStage) link.setAttribute('href', link.dataset.stage);
  });
  document.querySelectorAll('.archive').forEach(function (item) {
    if (inArchive) item.hidden = false; else item.remove();
  });
  document.querySelectorAll('.withdrawn').forEach(function (item) {
    if (withdrawn) item.hidden = false; else item.remove();
  });
  document.querySelectorAll('.undecided').forEach(function (item) { if (published) item.remove(); });
}());
</script>"""


def links(mosaic: Twin, comparison: Twin | None) -> str:
    """Return the list of links as HTML; what was not made is left out."""
    found = []
    if has_image(mosaic):
        files = mosaic_image_facts(mosaic).files
        found += [_file(mosaic, words, name) for words, name in _mosaic_files(files) if name is not None]
    if comparison is not None and (compared := crossmatch_facts(comparison).files) is not None:
        found += [_file(comparison, words, name) for words, name in _tables(compared) if name is not None]
    found += [
        '<li><a href="#tiles">tiles and their quality</a></li>',
        '<li><a href="#calibrations">calibrations</a></li>',
        *_archive(mosaic),
    ]
    return f'<ul class="links">{"".join(found)}</ul>'


def _mosaic_files(files: MosaicFiles) -> list[tuple[str, str | None]]:
    return [
        ("image (FITS)", files.image), ("noise", files.rms), ("weights", files.weights),
        ("coverage", files.coverage), ("frequency", files.frequency), ("spectral index", files.spectral_index),
        ("picture (PNG)", files.picture), ("tiles (CSV)", files.tiles),
    ]  # fmt: skip


def _tables(files: CrossmatchFiles) -> list[tuple[str, str | None]]:
    return [
        ("sources (VOTable)", files.sources_votable), ("sources (FITS)", files.sources_fits),
        ("sources (CSV)", files.sources), ("matches (VOTable)", files.matches_votable),
        ("matches (FITS)", files.matches_fits), ("matches (CSV)", files.matches),
    ]  # fmt: skip


def _file(product: Twin, words: str, name: str) -> str:
    """Return the link to a file of a product: in the bundle, and on the stage."""
    folder = "" if product.kind == "mosaic" else "crossmatch/"
    kind = "mosaics" if product.kind == "mosaic" else "crossmatch"
    stage = f"../../{kind}/{date(product.id)}/{product.id}/{name}"
    return f'<li><a href="{quote(folder + name)}" data-stage="{quote(stage)}">{safe(words)}</a></li>'


def _archive(mosaic: Twin) -> list[str]:
    """Return the links to the gallery, and to the mosaics there that cover the middle of this one."""
    gallery = "../../../../index.html"  # from data/ of a bundle in mosaics/<date>/
    found = [f'<li class="archive"><a href="{gallery}">gallery</a></li>']
    if has_image(mosaic):
        ra_deg, dec_deg = mosaic_image_facts(mosaic).centre_deg
        place = quote(f"{ra_deg:.4f} {dec_deg:+.4f}")
        found.append(f'<li class="archive"><a href="{gallery}#{place}">other epochs of this field</a></li>')
    return found
