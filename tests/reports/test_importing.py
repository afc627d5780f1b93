import json
from pathlib import Path

from pixelwise.checkpoints.importers.importing import ImportReport
from pixelwise.reports.importing import show_import

REPORT = ImportReport(source="acme", mapped=(("a", "b"),), dropped=("c",), notes=("a note",))


def test_the_report_says_what_became_of_the_tensors_and_what_to_do_next(capsys):
    show_import(REPORT, Path("weights/x"))
    lines = capsys.readouterr().out.splitlines()
    assert [word in lines[0] for word in ("acme", "1 ", "mapped", "dropped")] == [True] * 4
    assert lines[-1].endswith("pixelwise predict weights/x IMAGES")


def test_json_is_the_report_alone(capsys):
    show_import(REPORT, Path("weights/x"), as_json=True)
    assert json.loads(capsys.readouterr().out)["mapped"] == [["a", "b"]]
