from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from serving_fakes import InsideWorker, png, service_of

from pixelwise.serving.openapi import document
from pixelwise.serving.options import ServeOptions

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_a_token_is_asked_for_where_one_is_needed():
    plain, secured = document(ServeOptions(), "grey"), document(ServeOptions(token="0123456789abcdef"), "grey")
    assert "security" not in plain
    assert secured["security"] == [{"token": []}]
    free = {path for path, found in secured["paths"].items() if found.get("get", {}).get("security") == []}
    assert free == {"/health", "/ready", "/v2/health/live", "/v2/health/ready"}


@pytest.mark.heavy
def test_no_request_that_the_document_leaves_open_is_a_fault_of_the_server(tmp_path: Path, listening):
    with service_of(lambda: InsideWorker(tmp_path)) as service, listening(service) as address:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", CHECKS,
            "--max-examples", "100", "--continue-on-failure", "--phases", "coverage,fuzzing", "--seed", "1",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-3000:]
        # The bodies of real images, bent out of shape.
        random, statuses = np.random.default_rng(0), Counter()
        whole = np.frombuffer(png(np.arange(256, dtype=np.uint8).reshape(16, 16) % 4), np.uint8)
        for _ in range(300):
            body = whole.copy()
            body[random.integers(0, len(body), 3)] = random.integers(0, 256, 3)
            request = urllib.request.Request(f"{address}/predict", body[: random.integers(1, len(body))].tobytes())
            try:
                with urllib.request.urlopen(request) as answer:
                    statuses[answer.status] += 1
            except urllib.error.HTTPError as error:
                statuses[error.code] += 1
        assert set(statuses) <= {200, 413, 422}, statuses
