from __future__ import annotations

from pathlib import Path

import pixelwise


def test_smoke(hub, tiny_run: Path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pushed = pixelwise.push(tiny_run, "me/tiny")
    print(pushed)
    for n, c in hub.repositories["me/tiny"].files.items():
        print("-----", n, len(c))
        if len(c) < 20000 and not n.endswith("safetensors"):
            print(c.decode())
    seg = pixelwise.load("hub://me/tiny")
    print(seg)
    assert 0
