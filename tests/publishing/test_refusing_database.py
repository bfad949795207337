"""A database that refuses one statement of a decision, whichever: it is said what holds, and what does the rest."""

import itertools
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from contimg.bundle.record import read_record
from contimg.errors import RegistryError
from contimg.publishing import decisions
from contimg.publishing.places import Places
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from tests.support import mosaics

ID = mosaics.MOSAIC


def _records(registry, config):
    places = Places.of(config.layout, queries.get(registry, ID))
    return [read_record(place).get("decisions", []) for place in places.standing()]


@pytest.mark.parametrize("table", ["data_registry", "publish_events"])
def test_who_may_not_write_one_table_decides_nothing(registry, config, table):
    mosaics.run(config)
    before = _records(registry, config)
    statement = "UPDATE ON data_registry" if table == "data_registry" else "INSERT ON publish_events"
    with registry.transaction() as connection:
        if registry.engine.dialect.name == "sqlite":
            refusal = f"CREATE TRIGGER no BEFORE {statement} BEGIN SELECT RAISE(ABORT, 'permission denied for'); END"
            connection.execute(text(refusal))
        else:
            raising = "RAISE EXCEPTION 'permission denied for table'"
            connection.execute(
                text(f"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raising}; END $$")
            )
            connection.execute(text(f"CREATE TRIGGER no BEFORE {statement} FOR EACH ROW EXECUTE FUNCTION no()"))
    with pytest.raises(RegistryError, match=r"permission denied for.* nothing was written by it"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert _records(registry, config) == before
    assert queries.get(registry, ID)["status"] == "published" and config.layout.bundle(ID, 1).is_dir()


def leave_out(registry, statement):
    """Let the database leave a statement out in silence, as ``INSERT ON table``."""
    with registry.transaction() as connection:
        if registry.engine.dialect.name == "sqlite":
            connection.execute(text(f"CREATE TRIGGER no BEFORE {statement} BEGIN SELECT RAISE(IGNORE); END"))
            return
        body = "BEGIN RETURN NULL; END"
        connection.execute(text(f"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"))
        connection.execute(text(f"CREATE TRIGGER no BEFORE {statement} FOR EACH ROW EXECUTE FUNCTION no()"))


@pytest.mark.parametrize("statement", ["UPDATE ON data_registry", "INSERT ON publish_events"])
def test_what_a_database_leaves_out_in_silence_is_not_said_to_be_done(registry, config, statement):
    """As by a trigger, a rule or a policy that somebody added: the statement succeeds, and changes no row."""
    mosaics.run(config)
    before = _records(registry, config)
    leave_out(registry, statement)
    with pytest.raises(RegistryError, match=r"did not keep .* of mosaic_.*remove the trigger, rule or policy"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert _records(registry, config) == before
    assert queries.get(registry, ID)["status"] == "published" and config.layout.bundle(ID, 1).is_dir()
    with registry.transaction() as connection:
        on = statement.partition(" ON ")[2]
        connection.execute(
            text("DROP TRIGGER no" if registry.engine.dialect.name == "sqlite" else f"DROP TRIGGER no ON {on}")
        )
    decisions.withdraw(registry, config.layout, ID, "wrong")
    assert queries.get(registry, ID)["status"] == "withdrawn" and reconcile(registry, config.layout) == []


@pytest.mark.postgres
def test_a_decision_that_a_trigger_alters_is_not_said_to_be_done(registry, config):
    if registry.engine.dialect.name == "sqlite":
        pytest.skip("triggers of SQLite cannot alter a row before it is written")
    mosaics.run(config)
    before = _records(registry, config)
    with registry.transaction() as connection:
        body = "BEGIN NEW.status = 'published'; RETURN NEW; END"
        connection.execute(text(f"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"))
        connection.execute(text("CREATE TRIGGER no BEFORE UPDATE ON data_registry FOR EACH ROW EXECUTE FUNCTION no()"))
    with pytest.raises(RegistryError, match=r"did not keep status of mosaic_.*remove the trigger, rule or policy"):
        decisions.withdraw(registry, config.layout, ID, "wrong")
    assert _records(registry, config) == before and config.layout.bundle(ID, 1).is_dir()


@pytest.mark.parametrize("table", ["data_registry", "publish_events"])
def test_a_registration_that_is_left_out_in_silence_is_an_error(registry, config, table):
    mosaics.make_mosaic(config)
    leave_out(registry, f"INSERT ON {table}")
    with pytest.raises(RegistryError):
        register_mosaic(ID, config)
    assert queries.count(registry) == 0


class Cut:
    """The connection is lost before the statement of the number `left` from now on, once."""

    left = None

    def before(self, *_arguments):
        if self.left is None:
            return
        self.left -= 1
        if self.left == 0:
            self.left = None
            raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))


@pytest.fixture
def cut():
    cut = Cut()
    event.listen(Engine, "before_cursor_execute", cut.before)
    yield cut
    event.remove(Engine, "before_cursor_execute", cut.before)


@pytest.mark.parametrize("word", ["withdraw", "restore", "reject", "approve", "cite"])
def test_each_statement_of_a_decision(registry, config, cut, word):
    wanted = {"withdraw": "withdrawn", "reject": "rejected"}.get(word, "published")
    for tried in itertools.count(1):
        time = datetime(2026, 2, 11) + timedelta(days=tried)
        mosaic = mosaics.make_mosaic(
            config, tiles=[time.isoformat()], reasons=[mosaics.WARNING] if word in ("reject", "approve") else ()
        )
        register_mosaic(mosaic, config)
        publish_mosaic(mosaic, config, waits_s=())
        if word == "restore":
            decisions.withdraw(registry, config.layout, mosaic, "wrong")
        said = ""
        cut.left = tried
        try:
            getattr(decisions, word)(registry, config.layout, mosaic, "10.5555/a")
        except RegistryError as error:
            said = str(error)
        cut.left, passed = None, cut.left is not None
        if "rerun the same command" in said:
            assert "nothing was written by it" in said
            getattr(decisions, word)(registry, config.layout, mosaic, "10.5555/a")
        elif said:
            assert said.endswith(f"then 'contimg reconcile {mosaic}' does the rest"), said
            reconcile(registry, config.layout, mosaic)
        if word == "approve":
            publish_mosaic(mosaic, config, waits_s=())
        assert queries.get(registry, mosaic)["status"] == wanted, (tried, said)
        assert config.layout.bundle(mosaic, 1).is_dir() is (wanted == "published"), (tried, said)
        assert reconcile(registry, config.layout, mosaic) == [], (tried, said)
        if passed:
            break
    assert tried > 6
