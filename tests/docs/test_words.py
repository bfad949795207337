"""The words of docstrings, messages and pages: textbook English, without the idioms that readers stumbled over."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXTS = [
    *sorted((ROOT / "contimg").rglob("*.py")),
    *sorted((ROOT / "rules").glob("*.smk")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("Snakefile", "README.md", "CONTRIBUTING.md", "Makefile", "config.yaml")),
]
# Idioms that were replaced, each by a term of the field or a plain verb.
ODD = re.compile(
    r"for ever\b|every so many|manieth|\bmend(s|ed|ing)?\b|whose word|\bis sight\b|said twice|says twice|\btold\b"
    r"|unless told|has (a|no) say\b|having a say|stands? twice, the first|Two are one|as (it|they) (is|are) as",
    re.IGNORECASE,
)


def test_no_idiom_stands_for_a_term():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in TEXTS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if ODD.search(line)
    ]
    assert found == []
