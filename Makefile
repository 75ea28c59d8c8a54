# Each target first installs what it needs: `make serve` and `make test` work on a fresh machine.
# All paths are relative, so the checkout's own path may hold spaces.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
NODE := tests/contract/node
COMPILE := $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url --exclude-newer "1 week" $(UPGRADE)
# Not reordered: by default modules with few tests, which are the long ones, would come last.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: help serve test test-deep lint fix coverage bench docs screenshots vendor lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; do \
		printf '%-12s %s\n' "$$name" "$$text"; done

serve: .venv/.run ## Start meterbell on the embedded store, data in ./meterbell-data (ARGS=… for more)
	exec $(BIN)/meterbell serve $(ARGS)

test: lint $(NODE)/node_modules/.installed .venv/.browser ## Lint, then run every test (ARGS=… for pytest)
	$(PYTEST) -m "not deep"

test-deep: .venv/.dev $(NODE)/node_modules/.installed .venv/.browser ## The long fault and fuzz runs
	HYPOTHESIS_PROFILE=deep $(PYTEST) --timeout 7200

lint: .venv/.dev ## Check style, types and the direction of imports
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/python -m mypy --no-error-summary src tests bench tools
	$(BIN)/lint-imports --no-logo

fix: .venv/.dev ## Format, and repair what ruff can repair
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

coverage: .venv/.dev $(NODE)/node_modules/.installed .venv/.browser ## Measure branch coverage and hold it to its limits
	$(PYTEST) -m "not deep" --cov --cov-report=
	$(BIN)/coverage report --skip-covered --fail-under=90
	$(BIN)/coverage report --include='src/meterbell/engine/*,src/meterbell/wire/*,src/meterbell/delivery/schedule.py' \
		--show-missing --skip-covered --fail-under=100

bench: .venv/.dev ## Measure throughput against a baseline of the same run
	$(BIN)/python -m bench $(ARGS)

docs: .venv/.docs ## Build the documentation into ./site
	$(BIN)/zensical build --clean --strict

screenshots: .venv/.dev .venv/.browser ## Take pictures of every page of the dashboard for the docs (ARGS=… for some)
	$(BIN)/python -m tools.screenshots $(ARGS)

vendor: ## Fetch the dashboard's vendored files anew, with npm
	$(PYTHON) tools/vendor.py

lock: .uv/.installed ## Lock dependencies anew (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) pyproject.toml --group build --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --extra otel --group build --group lint --group test --group bench \
		--constraints requirements/run.txt --output-file requirements/dev.txt
	$(COMPILE) --group docs --constraints requirements/dev.txt --output-file requirements/docs.txt
	printf 'uv\n' | $(COMPILE) - --output-file requirements/uv.txt
	if command -v npm >/dev/null; then cd $(NODE) && npm install --package-lock-only; fi

clean: ## Remove what the targets installed and built; never data
	rm -rf .uv .venv site .coverage .mypy_cache .ruff_cache .hypothesis .import_linter_cache \
		$(NODE)/node_modules

# uv comes from PyPI into an environment of its own, checked against its hash.
.uv/.installed: requirements/uv.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "meterbell needs Python 3.11 or later (python3) to be installed." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	touch $@

.venv/.created: .uv/.installed
	test -x $(BIN)/python || $(UV) venv --quiet --python '>=3.11' .venv
	touch $@

.venv/.run: .venv/.created requirements/run.txt pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements/run.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.venv/.dev: .venv/.created requirements/dev.txt pyproject.toml
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch .venv/.run $@

.venv/.docs: .venv/.dev requirements/docs.txt
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements/docs.txt
	touch $@

# Without a browser the rest is still tested; the tests with one then fail and say so.
.venv/.browser: .venv/.created
	@if command -v chromium chromium-browser google-chrome >/dev/null; then touch $@; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq --no-install-recommends chromium >/dev/null && touch $@; \
	else \
		echo "Chromium is missing: install it (Debian: apt install chromium); the tests with a browser will fail." >&2; \
	fi

# Without npm the rest is still tested; the tests with the Node SDK then fail and say so.
$(NODE)/node_modules/.installed: $(NODE)/package.json $(NODE)/package-lock.json
	@if command -v npm >/dev/null; then \
		cd $(NODE) && npm ci --silent --ignore-scripts && touch node_modules/.installed; \
	else \
		echo "npm is missing: install Node.js 20 or later with npm. Without it the tests with the Node SDK" \
			"will fail, and those with the official Stripe CLI are SKIPPED." >&2; \
	fi
