"""Replicas of both kinds: a folder, and a bucket of a server that behaves as S3 does (moto)."""

import logging
import uuid
from pathlib import Path

import pytest

from contimg.config.sections import ReplicaOptions
from contimg.replicas import stores, sync


@pytest.fixture(scope="session")
def s3_server():
    """The address of a server of moto, in this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """The URL of an empty prefix in a new bucket."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    name = f"b{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}/second"


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    """Where a replica is to stand, which nobody has adopted yet."""
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    place = tmp_path / "second"
    place.mkdir()
    return str(place)


@pytest.fixture
def store(url):
    return stores.open_store(url)


@pytest.fixture
def replica(url, sqlite_registry):
    """An adopted replica of the registry of `replicated`."""
    made = ReplicaOptions(url=url)
    sync.adopt(sqlite_registry, made)
    return made


@pytest.fixture
def sqlite_registry(sqlite_config):
    import contextlib

    from contimg.registry.engine import open_registry

    with contextlib.closing(open_registry(sqlite_config)) as opened:
        yield opened


@pytest.fixture
def replicated(sqlite_config, replica):
    """The configuration of a registry with that replica."""
    return sqlite_config.model_copy(
        update={"publish": sqlite_config.publish.model_copy(update={"replicas": [replica], "read_only": False})}
    )


def files_of(store, below=""):
    """Return the content of all files of a store by name."""
    return {name: stores.read_all(store, f"{below}/{name}" if below else name) for name in store.names(below or ".")}


def harm(store, name, content, tmp_path: Path):
    """Replace a file of a store."""
    place = tmp_path / "harm"
    place.write_bytes(content)
    store.put(name, place)
