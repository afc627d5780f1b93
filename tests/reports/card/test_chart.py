import re

import msgspec
from reports.card.cards import make_card

from pixelwise.reports.card.chart import Box, card_charts, place_labels


def test_there_is_a_chart_per_number_of_threads_with_ids_of_its_own():
    charts = card_charts(make_card())
    assert [chart.title for chart in charts] == [
        "mIoU against latency, 1 thread",
        "mIoU against latency, 2 threads",
    ]
    assert "fastest ONNX Runtime, int8 after training, 8 ms at 58.80 %" in charts[0].summary
    for name in ("PyTorch", "ONNX Runtime", "ONNX Runtime, int8 after training"):
        assert f">{name}</text>" in charts[0].svg
    ids = re.findall(r' id="([^"]+)"', charts[0].svg + charts[1].svg)
    assert len(ids) == len(set(ids))
    assert card_charts(make_card(None, labels=False)) == []


def test_labels_cover_neither_each_other_nor_a_point():
    places = [(100.0 + 3 * index, 80.0 + index % 2) for index in range(7)]
    texts = ["ONNX Runtime, int8"] * len(places)
    area, font = Box(0, 0, 450, 240), 8.5
    found = place_labels(places, texts, area, font)
    boxes = [Box(x, y - 0.6 * font, x + 0.6 * font * 18, y + 0.6 * font) for x, y in found]
    points = [Box(x - font / 2, y - font / 2, x + font / 2, y + font / 2) for x, y in places]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in [*boxes[:index], *points])
        assert box.left >= 0
        assert box.right <= 450
        assert box.bottom >= 0
        assert box.top <= 240


def test_a_lonely_label_stands_right_of_its_point_or_left_where_the_chart_ends():
    area = Box(0, 0, 300, 100)
    ((x, y),) = place_labels([(50, 50)], ["name"], area)
    assert x > 50
    assert y == 50
    ((x, y),) = place_labels([(295, 50)], ["name"], area)
    assert x < 280
    assert y == 50


def test_a_row_of_a_runtime_that_is_no_longer_installed_is_drawn():
    card = make_card()
    gone = msgspec.structs.replace(card.rows[1], runtime="acme-runtime", name="Acme")
    charts = card_charts(msgspec.structs.replace(card, rows=(card.rows[0], gone)))
    assert ">Acme</text>" in charts[0].svg
