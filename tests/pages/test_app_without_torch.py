"""Every kind of page is answered by a process that has not loaded PyTorch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from data_to_show import shown_data
from PIL import Image
from reports.live.scenes import running, write_scene, write_status
from runs_to_show import shown_run

import pixelwise
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.log import StepRecord, append_log

CRAWL = """
import collections, html, re, sys, time
from pathlib import Path
from asking import Browser
from pixelwise.pages.app import Site, application

folder = Path(sys.argv[1])
data = [folder / "several", folder / "photos"]
site = Site([folder / "runs"], data, edit=True)
site.networks.close()  # what needs networks is answered without them
app = application([folder / "runs"], "t", site=site)
browser, routes = Browser(app), app._app.routes
browser.get("/?token=t")

waiting, seen, kinds = collections.deque(["/", "/data", "/fix", "/try"]), set(), collections.Counter()
while waiting:
    address = waiting.popleft()
    where = next((one.path for one in routes if one.path_regex.match(address.partition("?")[0])), "")
    if not where or kinds[where] == 3 or address in seen or where.endswith("/events"):
        continue
    answer = browser.get(address)
    while b'hx-trigger="load' in answer.body and where.startswith("/data"):
        time.sleep(0.01)  # until the data set is examined
        answer = browser.get(address)
    assert answer.status < 400, (address, answer.status, answer.body)
    seen.add(address)
    kinds[where] += 1
    found = [answer.headers[one] for one in ("location",) if one in answer.headers]
    if answer.headers.get("content-type", "").startswith("text/html"):
        found += re.findall(r'(?:href|src|hx-get|data-[a-z]+)="(/[^"#]*)', answer.text)
        ids = re.findall(r'href="/run/([0-9a-f]{12})"', answer.text)
        found += [f"{address}/0"] if "/cell/" in where else []  # what a page asks for when it is scrolled
        found += [f"/compare/{one}/{other}" for one in ids for other in ids if one != other]
    waiting += map(html.unescape, found)
for image in [one for one in seen if re.fullmatch("/fix/[0-9a-f]{16}", one.partition("?")[0])]:
    for part in ("photo", "mask"):
        assert browser.get(f"{image.partition('?')[0]}/{part}").status == 200
        kinds[f"/fix/{{image}}/{part}"] += 1
    kinds["/fix/{image}/others"] += browser.get(f"{image.partition('?')[0]}/others").status == 200
home = next(one for one in seen if re.fullmatch("/data/[0-9a-f]{12}", one))
assert browser.get(f"{home}/region/0/8-8-16-8-64-48").headers["content-type"] == "image/jpeg"
assert browser.get(f"{home}/image/0/photo/0-0-0").headers["content-type"] == "image/jpeg"
for path in ("/region/{row:int}/{box}", "/image/{row:int}/{layer}/{halvings:int}-{down:int}-{right:int}"):
    kinds[f"/data/{{id}}{path}"] += 1
print("not asked for:", sorted(path for path in {one.path for one in routes} if not kinds[path]))
print("loaded:", sorted({"torch", "timm", "onnxruntime", "matplotlib"} & set(sys.modules)))
"""


def test_every_kind_of_page_is_shown_without_torch(tmp_path: Path):
    for name, miou in (("a", 0.75), ("b", 0.5)):
        run = shown_run(tmp_path / "runs" / name, miou)
        (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
        append_log(run, [StepRecord(step=step, epoch=1, loss=1 / step, lr=0.1) for step in (1, 2)])
    live = tmp_path / "runs" / "live"
    live.mkdir()
    (live / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
    write_scene(live)
    write_status(live, running())
    shown_data(tmp_path / "photos")
    for place in ("images/a", "masks/wet/a", "masks/worn/a"):
        (tmp_path / "several" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 64), 255, np.uint8)).save(tmp_path / "several" / f"{place}.png")
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", CRAWL, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    # The first predicts, the second never ends, the last takes photos; the others are of images larger than these.
    image = "/run/{id}/image/{place:int}"
    large = [f"{image}/whole", f"{image}/{{layer}}/{{halvings:int}}-{{down:int}}-{{right:int}}"]
    left = ["/fix/{image}/prediction/{run}", "/live/{id}/events", *large, "/try/{id}"]
    assert done.stdout.splitlines() == [f"not asked for: {left}", "loaded: []"]
