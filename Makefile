# Everything installs itself into .venv/ and target/; python3 (3.11 or newer) and cargo are all that must be there.
# Another interpreter: make PYTHON=python3.13 demo

PYTHON ?= python3
.DEFAULT_GOAL := help

.PHONY: help setup demo test pytest lint types rust browser docs screenshots bench stress format clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: ## make .venv/ with everything in it and the release build
	@$(PYTHON) scripts/envs.py

demo: ## set up, then run examples/titles.ipynb in a real kernel and show its cells
	@$(PYTHON) scripts/envs.py run examples/run.py

test: ## all checks: lints, types, Rust tests, Python tests on every CPython found (all on the oldest and the newest)
	@$(PYTHON) scripts/check.py

pytest: ## Python tests on one interpreter; ARGS="-k kill -x" goes to pytest
	@$(PYTHON) scripts/check.py pytest --this -- $(ARGS)

lint: ## rustfmt, clippy, ruff
	@$(PYTHON) scripts/check.py lint

types: ## mypy --strict, and the stub against the extension
	@$(PYTHON) scripts/check.py types

rust: ## the core's own tests
	@$(PYTHON) scripts/check.py rust

browser: ## the tests in a real JupyterLab in Chromium, which it installs
	@$(PYTHON) scripts/check.py browser

docs: ## build the site into target/site, strictly
	@$(PYTHON) scripts/check.py docs

screenshots: ## take the pictures of the docs anew, in JupyterLab
	@RJOBS_SCREENSHOTS=docs/images $(PYTHON) scripts/check.py browser

bench: ## benchmarks against the peers, in one run
	@$(PYTHON) scripts/envs.py run benches/throughput.py
	@$(PYTHON) scripts/envs.py run benches/memory.py
	@$(PYTHON) scripts/envs.py run benches/imports.py
	@$(PYTHON) scripts/envs.py run benches/map.py
	@$(PYTHON) scripts/envs.py run benches/executor.py
	@$(PYTHON) scripts/envs.py run benches/coroutines.py
	@$(PYTHON) scripts/envs.py run benches/shell.py
	@$(PYTHON) scripts/envs.py run benches/status.py
	@$(PYTHON) scripts/envs.py run benches/status.py

stress: ## the racing and hammering tests that the others leave out (minutes)
	@$(PYTHON) scripts/check.py pytest --this -- -m stress -v

format: ## rewrite the sources as rustfmt and ruff want them
	@$(PYTHON) scripts/envs.py run -m ruff format python tests benches examples scripts docs
	@$(PYTHON) scripts/envs.py run -m ruff check --fix-only --quiet python tests benches examples scripts docs
	@cargo fmt

clean: ## remove .venv/, target/ and all caches
	rm -rf .venv target .mypy_cache .ruff_cache .pytest_cache
	find python tests examples benches scripts -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/rjobs/*.so python/rjobs/*.pyd
