"""The identity of a registry: its UUID stays, and the time since when it has an archive is written once."""

import dataclasses

import pytest
from sqlalchemy import text

from contimg.registry.identity import identity, server_place, take_archive

HERE = ("host:/archive", "131073")


def test_a_new_registry_has_none_until_it_has_an_archive(registry):
    assert identity(registry) is None
    made = take_archive(registry, *HERE)
    assert len(made.uuid) == 36 and made.archive_since.endswith("Z")
    assert take_archive(registry, *HERE) == made == identity(registry)
    moved = take_archive(registry, "host:/moved", None)
    assert (made.archive_root, made.archive_inode) == HERE and moved == dataclasses.replace(
        made, archive_root="host:/moved", archive_inode=None
    )


def test_it_takes_the_uuid_of_the_registry_whose_place_it_took(registry):
    assert take_archive(registry, *HERE, "old").uuid == "old"
    again = take_archive(registry, *HERE, "older")
    assert again.uuid == "older" and identity(registry) == again


def test_an_identity_without_an_archive_gets_one(registry):
    with registry.transaction() as connection:
        connection.execute(text("INSERT INTO registry_identity (uuid) VALUES ('mine')"))
    assert take_archive(registry, *HERE).uuid == "mine" and identity(registry).archive_since is not None


def test_the_place_of_a_server_names_cluster_database_and_schema(registry):
    if registry.engine.dialect.name == "sqlite":
        pytest.skip("a file has no server")
    with registry.read() as connection:
        schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    cluster, database, found = server_place(registry).removeprefix("postgresql ").split("/")
    assert cluster.isdecimal() and database == registry.engine.url.database and found == schema
