from __future__ import annotations

from pixelwise.serving.metrics import GAUGES, Histogram, Metrics


def test_a_histogram_counts_values_up_to_each_bound():
    histogram = Histogram((1, 2.5))
    assert histogram.mean is None
    for value in (0.5, 1, 2, 9):
        histogram.add(value)
    assert list(histogram.lines("x")) == [
        'x_bucket{le="1"} 2',
        'x_bucket{le="2.5"} 3',
        'x_bucket{le="+Inf"} 4',
        "x_sum 12.500000",
        "x_count 4",
    ]
    assert histogram.mean == 3.125


def test_latencies_are_those_of_predictions_that_were_given():
    metrics = Metrics()
    for path, status in (("/predict", 200), ("/predict", 429), ("/model", 200), ("/v2/models/{name}/infer", 200)):
        metrics.request(path, status, 0.1)
    metrics.batch(4, 2.0)
    metrics.count("retries")
    lines = metrics.text(dict.fromkeys(GAUGES, 3)).splitlines()
    for line in (
        'pixelwise_requests_total{route="/predict",status="200"} 1',
        'pixelwise_requests_total{route="/predict",status="429"} 1',
        "pixelwise_request_seconds_count 2",
        "pixelwise_image_seconds_sum 0.500000",
        "pixelwise_retries_total 1",
        "pixelwise_queue_images 3",
    ):
        assert line in lines
    assert metrics.seconds_per_image == 0.5
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    names = {line.partition("{")[0].partition(" ")[0] for line in lines if not line.startswith("#")}
    endings = ("_bucket", "_sum", "_count")
    assert {
        next((name.removesuffix(end) for end in endings if name.endswith(end)), name) for name in names
    } == described
