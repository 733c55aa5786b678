# Two commands: `make demo` shows the practice, `make test` does everything CI does.
PORT ?= 8000
DATA ?= data/demo
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without --no-deps, pip looks for newer versions of what has extras and then misses their hashes.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps

.PHONY: demo test setup setup-test programs assets check sbom advisories bench lock migrations clean
.DELETE_ON_ERROR:

demo: assets ## Set up, seed and serve the fictional practice on http://127.0.0.1:8000 (PORT=, DATA=)
	@exec $(BIN)/telepsych demo --data "$(DATA)" --port $(PORT)

test: programs check ## Everything CI runs
	@.ci/tests

check: setup-test assets
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/telepsych content check

assets: setup
	@$(BIN)/python -m telepsych.web.assets

setup: $(VENV)/.ready
setup-test: $(VENV)/.ready-test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Telepsych needs Python 3.11 or newer as $(PYTHON). On Debian or Ubuntu: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv package is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing what Telepsych needs ..."
	@$(PIP) -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.ready-test: requirements-dev.txt $(VENV)/.ready
	@echo "Installing what the tests need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@

programs: ## Chromium, coturn, nginx, PostgreSQL and SoftHSM, from the distribution
	@sh .ci/programs

sbom: setup-test ## What the product is made of, as CycloneDX: dist/sbom-python.json and dist/sbom-browser.json
	@sh .ci/supply sbom

advisories: setup-test ## Look the locked packages up among known weaknesses; needs the registries' advisory services
	@sh .ci/supply advisories

bench: setup-test programs ## The long proofs, each with its figures; about an hour on two cores (BENCH=--quick: minutes)
	@for one in benchmarks/*.py; do echo "== $$one"; $(BIN)/python "$$one" $(BENCH) || exit 1; done

lock: ## Write the hashed requirements anew from pyproject.toml
	@sh .ci/lock

migrations: setup ## Write the newest revision of both chains anew, while no practice has it
	@$(BIN)/telepsych db revision "first tables" --again

clean:
	rm -rf $(VENV) node_modules telepsych/static/dist data
