"""Row, sight and marker agree after reconciling, whatever they were: every combination, with its answer.

The row's state, the places where the bundle stands, the last decision in its record, and the marker are
set by hand, in all combinations. Each combination has one answer, which is held in `ANSWERS`.
"""

import contextlib
import itertools
import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from contimg.bundle import bundle
from contimg.bundle.find import hidden_place
from contimg.bundle.record import Decision, with_decisions
from contimg.publishing import markers
from contimg.publishing.places import Places
from contimg.publishing.reconcile import reconcile
from contimg.publishing.recording import publication
from contimg.registry import queries, schema
from contimg.registry.schema import data_registry
from tests.support import mosaics
from tests.support.databases import memory_folder
from tests.support.registered_nights import RegisteredNight

ID = mosaics.MOSAIC
ROWS = (
    "absent", "staging", "not judged", "not judged, to be held", "held", "published", "rejected", "withdrawn",
    "superseded",
)  # fmt: skip
PLACES = ("nowhere", "stage", "sight", "hidden", "both")  # beside the copy on the stage; 'nowhere': not even there
DECISIONS = ("none", "approved", "rejected", "withdrawn", "restored")
MARKERS = ("absent", "wrong")
PERSON = "person"

# (row, place, decision) -> (row, place) afterwards; PERSON: left as it is, and said. The bundle has not passed
# where the row is held or is to be held once it is judged, and has passed in all other rows. A decision that the row
# does not know comes from the bundle's record, as after a restored backup; none can be recorded where no bundle is.
# fmt: off
ANSWERS = {
    "absent": {
        "nowhere": dict(none=("absent", "nowhere")),
        "stage": dict(none=("staging", "stage"), approved=("staging", "stage"), rejected=("rejected", "stage"),
                      withdrawn=("withdrawn", "stage"), restored=("staging", "stage")),
        "sight": dict(none=("published", "sight"), approved=("published", "sight"), rejected=("rejected", "hidden"),
                      withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "hidden": dict(none=("withdrawn", "hidden"), approved=("withdrawn", "hidden"), rejected=("rejected", "hidden"),
                       withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "both": dict(none=PERSON, approved=PERSON, rejected=("rejected", "hidden"), withdrawn=("withdrawn", "hidden"),
                     restored=("published", "sight")),
    },
    "staging": {
        "nowhere": dict(none=("staging", "stage")),  # made again from the mosaic
        "stage": dict(none=("staging", "stage"), approved=("staging", "stage"), rejected=("rejected", "stage"),
                      withdrawn=("withdrawn", "stage"), restored=("staging", "stage")),
        "sight": dict(none=("published", "sight"), approved=("published", "sight"), rejected=("rejected", "hidden"),
                      withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "hidden": dict(none=("withdrawn", "hidden"), approved=("withdrawn", "hidden"), rejected=("rejected", "hidden"),
                       withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "both": dict(none=PERSON, approved=PERSON, rejected=("rejected", "hidden"), withdrawn=("withdrawn", "hidden"),
                     restored=("published", "sight")),
    },
    "held": {
        "nowhere": dict(none=("held", "stage")),
        "stage": dict(none=("held", "stage"), approved=("staging", "stage"), rejected=("rejected", "stage"),
                      withdrawn=("withdrawn", "stage"), restored=("held", "stage")),
        "sight": dict(none=("held", "aside"), approved=("published", "sight"), rejected=("rejected", "hidden"),
                      withdrawn=("withdrawn", "hidden"), restored=("held", "aside")),
        "hidden": dict(none=("withdrawn", "hidden"), approved=("withdrawn", "hidden"), rejected=("rejected", "hidden"),
                       withdrawn=("withdrawn", "hidden"), restored=("withdrawn", "hidden")),
        "both": dict(none=PERSON, approved=PERSON, rejected=("rejected", "hidden"), withdrawn=("withdrawn", "hidden"),
                     restored=PERSON),
    },
    "published": {
        "nowhere": dict(none=("staging", "stage")),  # to be published again
        "stage": dict(none=("staging", "stage"), approved=("staging", "stage"), rejected=("rejected", "stage"),
                      withdrawn=("withdrawn", "stage"), restored=("staging", "stage")),
        "sight": dict(none=("published", "sight"), approved=("published", "sight"), rejected=("rejected", "hidden"),
                      withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "hidden": dict(none=("withdrawn", "hidden"), approved=("withdrawn", "hidden"), rejected=("rejected", "hidden"),
                       withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "both": dict(none=PERSON, approved=PERSON, rejected=("rejected", "hidden"), withdrawn=("withdrawn", "hidden"),
                     restored=("published", "sight")),
    },
    "rejected": {
        "nowhere": dict(none=("rejected", "nowhere")),
        "stage": dict(none=("rejected", "stage"), approved=("rejected", "stage"), rejected=("rejected", "stage"),
                      withdrawn=("withdrawn", "stage"), restored=("rejected", "stage")),
        "sight": dict(none=("rejected", "hidden"), approved=("rejected", "hidden"), rejected=("rejected", "hidden"),
                      withdrawn=("withdrawn", "hidden"), restored=("rejected", "hidden")),
        "hidden": dict(none=("rejected", "hidden"), approved=("rejected", "hidden"), rejected=("rejected", "hidden"),
                       withdrawn=("withdrawn", "hidden"), restored=("rejected", "hidden")),
        "both": dict(none=("rejected", "hidden"), approved=("rejected", "hidden"), rejected=("rejected", "hidden"),
                     withdrawn=("withdrawn", "hidden"), restored=("rejected", "hidden")),
    },
    "withdrawn": {
        "nowhere": dict(none=("withdrawn", "nowhere")),
        "stage": dict(none=("withdrawn", "stage"), approved=("withdrawn", "stage"), rejected=("rejected", "stage"),
                      withdrawn=("withdrawn", "stage"), restored=("staging", "stage")),
        "sight": dict(none=("withdrawn", "hidden"), approved=("withdrawn", "hidden"), rejected=("rejected", "hidden"),
                      withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "hidden": dict(none=("withdrawn", "hidden"), approved=("withdrawn", "hidden"), rejected=("rejected", "hidden"),
                       withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
        "both": dict(none=("withdrawn", "hidden"), approved=("withdrawn", "hidden"), rejected=("rejected", "hidden"),
                     withdrawn=("withdrawn", "hidden"), restored=("published", "sight")),
    },
    "superseded": {
        "nowhere": dict(none=("superseded", "nowhere")),
        "stage": dict(none=("superseded", "stage"), approved=("superseded", "stage"), rejected=("rejected", "stage"),
                      withdrawn=("withdrawn", "stage"), restored=("superseded", "stage")),
        "sight": dict(none=("superseded", "aside"), approved=("superseded", "aside"), rejected=("rejected", "hidden"),
                      withdrawn=("withdrawn", "hidden"), restored=("superseded", "aside")),
        "hidden": dict(none=("superseded", "hidden"), approved=("superseded", "hidden"),
                       rejected=("rejected", "hidden"), withdrawn=("withdrawn", "hidden"),
                       restored=("superseded", "hidden")),
        "both": dict(none=PERSON, approved=PERSON, rejected=("rejected", "hidden"), withdrawn=("withdrawn", "hidden"),
                     restored=PERSON),
    },
}
ANSWERS["not judged"] = ANSWERS["staging"]  # it is judged first, where a bundle is in the archive or was decided about
ANSWERS["not judged, to be held"] = ANSWERS["held"] | {
    "nowhere": ANSWERS["staging"]["nowhere"],
    "stage": ANSWERS["held"]["stage"] | dict(none=("staging", "stage")),
}
# fmt: on
CASES = [
    (row, place, decision, marker)
    for row, place, decision, marker in itertools.product(ROWS, PLACES, DECISIONS, MARKERS)
    if decision in ANSWERS[row][place]
]


def test_the_table_is_whole():
    assert len(CASES) == len(ROWS) * (4 * 5 + 1) * 2
    assert {(row, place) for row, place, *_ in CASES} == set(itertools.product(ROWS, PLACES))


@pytest.fixture(scope="module")
def night():
    """A registered mosaic that every case begins with, made once for each verdict."""
    with memory_folder() as folder, contextlib.closing(RegisteredNight(folder)) as made:
        yield made


LATER = "2099-01-01T00:00:00.000Z"  # later than what the row knows


class Case:
    """One combination, set up in a stage, archive and registry where the mosaic was just registered."""

    def __init__(self, night: RegisteredNight, row: str, place: str, decision: str, marker: str) -> None:
        night.restore("warning" if "held" in row else "passed")
        self.config, self.registry = night.config, night.registry
        known = queries.get(self.registry, ID)
        self.where = Places.of(self.config.layout, known)
        self._place(place, decision, known)
        self._row(row)
        if marker == "wrong":
            markers.write(self.config.layout, "published", {"data_id": ID, "version": 1, "status": "nonsense"})

    def _place(self, place, decision, known):
        made = [] if decision == "none" else [Decision(LATER, decision, "said so", "ada", "there")]
        record = bundle.json_bytes(with_decisions(publication(known), made))
        (self.where.stage / bundle.PUBLICATION).write_bytes(record)
        for name, target in (("sight", self.where.sight), ("hidden", self.where.hidden)):
            if place in (name, "both"):
                shutil.copytree(self.where.stage, target)
        if place == "nowhere":
            shutil.rmtree(self.where.stage)

    def _row(self, row):
        closed = {"closed_at": "2026-02-12T00:00:00.000Z", "closed_by": "ada", "closed_reason": "once"}
        there = {"published_at": "2026-02-11T12:00:00.000Z"}
        unjudged = {"qa_status": "pending", "validation_status": "pending", "finalization_status": "pending"}
        unjudged |= {"held_json": None, "staged_at": None}
        values = {
            "published": there | {"published_path": str(self.where.sight)},
            "withdrawn": there | closed | {"published_path": str(self.where.hidden)},
            "rejected": closed,
            "superseded": closed,
        }
        with self.registry.transaction() as connection:
            if row == "absent":
                for table in reversed(schema.metadata.sorted_tables):
                    if table.name != "schema_version":
                        connection.execute(delete(table))
            else:
                values |= dict.fromkeys(("not judged", "not judged, to be held"), unjudged)
                status = "staging" if row.startswith("not judged") else row
                connection.execute(update(data_registry).values(status=status, **values.get(row, {})))

    def state(self):
        with contextlib.suppress(Exception):
            row = queries.get(self.registry, ID)
            return row["status"]
        return "absent"

    def place(self):
        sight, hidden = self.where.sight.is_dir(), self.where.hidden.is_dir()
        if sight or hidden:
            return "both" if sight and hidden else "sight" if sight else "hidden"
        if (self.config.paths.products / ".altered").is_dir():
            return "aside"
        return "stage" if self.where.stage.is_dir() else "nowhere"


def test_the_design_holds_this_table():
    lines = []
    for row, place in itertools.product(ROWS, PLACES):
        answers = [ANSWERS[row][place].get(decision, ("—",)) for decision in DECISIONS]
        cells = [answer if answer == PERSON else ", ".join(answer) for answer in answers]
        lines.append(f"| {row} | {place} | {' | '.join(cells)} |")
    text = (Path(__file__).parents[2] / "docs" / "design.md").read_text()
    table = text.split("<!-- answers: tests/publishing/test_agreement.py -->")[1].split("<!-- /answers -->")[0]
    assert table.split("\n")[3:-1] == lines


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("place", PLACES)
def test_every_combination_has_its_answer(night, row, place):
    wrong = []
    for _, _, decision, marker in (c for c in CASES if c[:2] == (row, place)):
        case = Case(night, row, place, decision, marker)
        expected = ANSWERS[row][place][decision]
        found = reconcile(case.registry, case.config.layout)
        again = reconcile(case.registry, case.config.layout)
        reached = PERSON if any(one.needs_person for one in found) else (case.state(), case.place())
        if reached != expected:
            wrong.append((decision, marker, reached, [(one.code, one.message) for one in found]))
        if [one.code for one in again] != [one.code for one in found if one.needs_person]:
            wrong.append((decision, marker, "second run", [(one.code, one.message) for one in again]))
        if reached != PERSON:
            wrong += [(decision, marker, text) for text in disagreements(case)]
    assert wrong == []


def disagreements(case: Case) -> list[str]:
    """What must be true whatever it was: in sight means published, and published means in sight and whole."""
    status, problems = case.state(), []
    if (status == "published") != case.where.sight.is_dir():
        problems.append(f"{status}, in sight: {case.where.sight.is_dir()}")
    if status == "published":
        row = queries.get(case.registry, ID)
        problems += [str(one) for one in bundle.verify(case.where.sight, expected=row["sha256"]).problems]
    marker = case.config.layout.twin("published", ID)
    if marker.exists() and status != "absent":
        said = json.loads(marker.read_text())
        if said != markers.published(queries.get(case.registry, ID)):
            problems.append(f"the marker says {said}")
    hidden = hidden_place(case.config.layout, ID, 1)
    if hidden.is_dir() and status not in ("withdrawn", "rejected", "superseded"):
        problems.append(f"{status}, and withdrawn")
    return problems
