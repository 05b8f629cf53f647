"""The service keeps and answers all that a verdict says, under the same names and with the same types."""

from __future__ import annotations

from datetime import datetime, timezone
from types import NoneType
from typing import get_args, get_type_hints

from differnet import Verdict
from differnet.inspection.verdict import give_verdict
from differnet.server.storage.database import VERDICT_COLUMNS, inspections
from differnet.server.wire.answers import inspection_json
from differnet.server.wire.schemas import Inspection
from differnet.sinks.rows import columns_of

OF_VERDICT = {name: hint for name, hint in get_type_hints(Verdict).items() if name != "source"}


def test_the_table_has_a_column_for_every_field() -> None:
    assert set(VERDICT_COLUMNS) == set(OF_VERDICT)
    kinds = columns_of(Verdict)
    for name in VERDICT_COLUMNS:
        assert inspections.c[name].type.python_type is kinds[name], name
        assert inspections.c[name].nullable == (NoneType in get_args(OF_VERDICT[name])), name


def test_an_answer_has_every_field_with_its_type() -> None:
    found = {name: field.annotation for name, field in Inspection.model_fields.items() if name in OF_VERDICT}
    assert found == OF_VERDICT


def test_an_answer_is_what_the_schema_says_in_its_order() -> None:
    verdict = give_verdict(1.5, None, source="a.png", width=4, height=3, model_id="0123456789ab", milliseconds=2.0)
    time = datetime(2026, 5, 1, tzinfo=timezone.utc)
    row = {name: getattr(verdict, name) for name in VERDICT_COLUMNS}
    row |= {"id": "ab", "created": time, "model": "bolt", "filename": "a.png", "removed_at": None}
    answer = inspection_json(row)
    assert list(answer) == list(Inspection.model_fields)
    assert {name: answer[name] for name in VERDICT_COLUMNS} == {name: getattr(verdict, name) for name in OF_VERDICT}
    Inspection.model_validate(answer)
