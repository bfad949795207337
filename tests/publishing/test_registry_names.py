"""One SQLite registry written in several ways is one registry for its archive."""

import contextlib

from contimg.publishing import archive_root
from contimg.registry.engine import open_registry, open_sqlite
from tests.support import mosaics


def test_a_registry_that_is_written_in_another_way_is_no_copy_of_itself(sqlite_config, tmp_path):
    mosaics.run(sqlite_config)
    file = sqlite_config.layout.registry_file
    link = tmp_path / "link"
    link.symlink_to(file.parent)
    with contextlib.closing(open_sqlite(link / file.name)) as other:  # the marker of before, or of today
        archive_root.require(other, sqlite_config.layout)
    for url in (f"sqlite:///{link}/{file.name}", f"sqlite+pysqlite:///{file.parent}/../state/{file.name}"):
        config = mosaics.config_below(file.parents[1], registry={"url": url})
        with contextlib.closing(open_registry(config)) as opened:
            assert opened.where == str(file)
            archive_root.require(opened, config.layout)
            assert archive_root.trouble(opened, config.layout) == {}
