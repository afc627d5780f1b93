"""docs/files.md names every file that a run or a result consists of."""

import re

from documentation.pages import ROOT

from pixelwise.records import log

PAGE = (ROOT / "docs" / "files.md").read_text("utf-8")
RECORDS = ROOT / "src" / "pixelwise" / "records"


def names() -> set[str]:
    """Names of files that the modules of `records` have as constants."""
    text = "\n".join(path.read_text("utf-8") for path in RECORDS.glob("*.py"))
    return set(re.findall(r'^[A-Z_]+ = "([a-z_]+\.(?:json|jsonl|toml|csv|html|zip|parquet))"$', text, re.MULTILINE))


def test_every_file_of_a_run_is_explained():
    found = names()
    assert len(found) > 15
    assert [name for name in sorted(found) if name not in PAGE] == []


def test_every_kind_of_record_of_the_log_is_named():
    kinds = {one.__struct_config__.tag for one in log.Record.__subclasses__()}
    assert {"step", "finished"} <= kinds
    assert [kind for kind in kinds if f"`{kind}`" not in PAGE] == []
