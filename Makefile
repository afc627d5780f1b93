# Everything a new clone needs: `make demo` to see it work, `make test` to check it.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed-$(shell cksum < pyproject.toml | cut -d' ' -f1)

# A shared environment runs the code of this clone, whichever clone installed it.
export PYTHONPATH := $(CURDIR)/src
# The tests start hundreds of processes, which would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo pictures test test-heavy test-gpu fuzz check docs install format clean

DEMO ?= demo
demo: install          ## a few minutes: synthetic data, training, evaluation, prediction, report
	@rm -rf $(DEMO)/town $(DEMO)/run $(DEMO)/predictions
	$(BIN)/pixelwise data town $(DEMO)/town
	$(BIN)/pixelwise train town-demo --data $(DEMO)/town --output $(DEMO)/run
	$(BIN)/pixelwise predict $(DEMO)/run $(DEMO)/town/images/test --output $(DEMO)/predictions
	@echo
	@echo "Everything is in $(DEMO)/:"
	@echo "  $(DEMO)/town                   the synthetic images and masks"
	@echo "  $(DEMO)/run/report.html        open this in a browser"
	@echo "  $(DEMO)/run                    recipe, log, checkpoints, results"
	@echo "  $(DEMO)/predictions/overlays   predictions drawn over the test images"
	@echo
	@echo "To look at the run in a browser, error by error: $(BIN)/pixelwise ui $(DEMO)"

pictures: demo         ## draws the pictures of README and docs anew (a quarter of an hour; needs Chromium)
	@rm -rf $(DEMO)/runs
	cd $(DEMO) && $(abspath $(BIN))/pixelwise train town --epochs 4 -o runs/town
	cd $(DEMO) && $(abspath $(BIN))/pixelwise evaluate runs/town --split test
	$(BIN)/python benchmarks/overview.py $(DEMO)/runs/town/evaluations/test-native docs/overview.webp
	$(BIN)/python benchmarks/ui_pictures.py $(DEMO)/run $(DEMO)/town docs/ui.webp

test: install          ## the tests, a few minutes
	@$(BIN)/python -m pytest

test-heavy: install    ## the tests of large networks that `test` leaves out
	@$(BIN)/python -m pytest -m "heavy and not fuzz and not gpu" --dist worksteal

test-gpu: install      ## what only an NVIDIA GPU can show
	@$(BIN)/python -m pytest -m gpu -n 1 -rs

fuzz: install          ## 2,000 damaged and hostile variants of every format; writes benchmarks/fuzz.md (an hour)
	@$(BIN)/python -m pytest -m fuzz -n 1

check: install         ## lint, format, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports

docs: install          ## the documentation as a site in build/docs/site, which needs no network
	@$(BIN)/python docs/site/build.py

format: install
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

install: $(STAMP)

# The stamp carries the checksum of pyproject.toml: new dependencies are installed, nothing else twice.
$(STAMP): pyproject.toml
	@echo "Installing Pixelwise into $(VENV) (PyTorch is large; a minute or more the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Pixelwise needs Python 3.11 or newer; this is $$($(PYTHON) --version). Use: make PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@rm -f $(VENV)/.installed-*
	@touch $@

clean:
	rm -rf .venv demo build dist .pytest_cache .ruff_cache .import_linter_cache
