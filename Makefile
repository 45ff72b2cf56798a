# Two commands do everything: `make up` runs the main job, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TIMEOUT := timeout --kill-after=30

# Processes that share the tests; 0: one test after the other, in this one.
WORKERS ?= 2
PARALLEL := --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder

INPUTS ?= 24000000
SEED ?= 1
OUT ?= .fuzz/$(SEED)

.PHONY: setup up halt test test-long test-nightly test-recorded test-parity test-graphs test-tutorial test-timescale faults faults-short faults-broken image-test docs lint types imports check lock format bench bench-quick bench-throughput bench-latency bench-typed bench-capture bench-sink bench-inference bench-fanout bench-growth takeover soak fuzz fuzz-guided help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

setup: $(STAMP) ## make the environment in .venv

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headrace needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@# Every process would compile the same at its first batch, all at once.
	$(BIN)/headrace compile trading
	@# Where it fails, on a machine that is too busy, Kafka only starts as slowly as before.
	-$(BIN)/headrace rehearse
	@touch $@

up: setup ## run the trading graph on a live feed, or on the simulator, with a live view
	$(BIN)/headrace up trading

halt: setup ## stop all trading: no order leaves any more until `headrace control trading resume`
	$(BIN)/headrace control trading halt

test: setup ## the tests that need nothing but this machine and a quarter of an hour
	$(TIMEOUT) 2400 $(BIN)/python -m pytest -m "not slow and not long" --durations=15 $(PARALLEL)

test-long: setup ## graphs on servers that are killed, reset, reloaded, taken over; CI runs it too
	$(TIMEOUT) 2400 $(BIN)/python -m pytest -m "long and not slow" --durations=15 $(PARALLEL) tests/faults tests/integration

test-nightly: setup ## all tests with ten times the examples, and the slow ones that need no special system
	$(TIMEOUT) 7200 $(BIN)/python -m pytest -m "not slow" --hypothesis-profile=nightly --timeout=1800 $(PARALLEL)
	@# Alone: what these tell may just as well be that the machine was busy.
	$(TIMEOUT) 7200 $(BIN)/python -m pytest -m slow --ignore=tests/integration/test_sink_timescale.py

test-tutorial: setup ## docs/tutorial.md to the letter, in an empty folder
	$(TIMEOUT) 1200 $(BIN)/python -m pytest -m slow tests/integration/test_tutorial.py

test-recorded: setup ## windows and joins over all recorded files against pandas; prints what was compared
	$(TIMEOUT) 3600 $(BIN)/python -m pytest -m slow tests/replay/test_operators_recorded.py

test-graphs: setup ## candles, arbitrage and monitor by headrace up, against the driver
	$(TIMEOUT) 1800 $(BIN)/python -m pytest -m slow tests/integration/test_topologies.py

test-parity: setup ## all recorded Binance files live, in the driver and in a backtest; prints what was compared
	$(TIMEOUT) 7200 $(BIN)/python -m pytest -m slow tests/integration/test_parity.py

test-timescale: setup ## the sinks against a real TimescaleDB (Debian's packages, unpacked aside)
	$(TIMEOUT) 1200 $(BIN)/python -m pytest -m slow tests/integration/test_sink_timescale.py

faults: setup ## ten seeds of faults against the trading graph, two storms at a time; writes docs/faults.md
	$(TIMEOUT) 7200 $(BIN)/python -m benchmarks.faults

faults-short: setup ## one short storm on a small sample project
	$(TIMEOUT) 1800 $(BIN)/python -m pytest -m slow tests/faults/test_prover.py -k short_storm

faults-broken: setup ## break the workers on purpose: the prover must notice
	$(TIMEOUT) 3600 $(BIN)/python -m pytest -m slow tests/faults/test_prover.py -k broken_build

image-test: setup ## build the image from a local base and run a worker from it (root, Debian)
	$(TIMEOUT) 2400 infra/image/test.sh

.venv-bench/.installed: $(STAMP) benchmarks/requirements.lock
	$(PYTHON) -m venv .venv-bench
	$(BIN)/uv pip sync --quiet --python .venv-bench/bin/python --compile-bytecode --require-hashes \
		benchmarks/requirements.lock
	@touch $@

.venv-docs/.installed: $(STAMP) docs/requirements.lock
	$(PYTHON) -m venv .venv-docs
	$(BIN)/uv pip sync --quiet --python .venv-docs/bin/python --require-hashes docs/requirements.lock
	@touch $@

docs: .venv-docs/.installed ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(TIMEOUT) 300 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "built: site/index.html"

bench: bench-throughput bench-typed bench-growth bench-sink bench-latency bench-capture bench-inference bench-fanout ## all jobs; writes docs/benchmarks.md

bench-throughput: .venv-bench/.installed ## jobs beside Kafka Streams, Quix Streams, Bytewax, Faust
	$(TIMEOUT) 7200 $(BIN)/python -m benchmarks.throughput

bench-quick: .venv-bench/.installed ## few records of two jobs, one round, beside Quix Streams; fails if a ratio fell by half
	$(TIMEOUT) 900 $(BIN)/python -m benchmarks.throughput --dry --against-record --rounds 1 \
		--records 2000000 --job vwap --job filter --peer headrace --peer headrace-exactly --peer quix

bench-latency: .venv-bench/.installed ## how long a tick takes through five steps, beside bare hops
	$(TIMEOUT) 3600 $(BIN)/python -m benchmarks.latency

bench-typed: setup ## the trading graph from typed topics, in one process
	$(TIMEOUT) 1800 $(BIN)/python -m benchmarks.typed

bench-growth: setup ## how cost grows with keys, partitions, workers; how a restore grows with state
	$(TIMEOUT) 3600 $(BIN)/python -m benchmarks.growth

bench-capture: setup ## the trading graph over recorded frames, 4 times; writes docs/benchmarks.md
	$(BIN)/python -m benchmarks.capture --data ../shared/data/binance --repeat 4

bench-sink: .venv-bench/.installed ## rows/s into PostgreSQL and TimescaleDB beside COPY, ADBC and INSERT
	$(TIMEOUT) 1800 $(BIN)/python -m benchmarks.sink

bench-inference: .venv-bench/.installed ## the model in the pipeline's step beside onnxruntime alone
	$(TIMEOUT) 1800 $(BIN)/python -m benchmarks.inference

bench-fanout: .venv-bench/.installed ## Redis to a subscriber beside redis-py and a socket
	$(TIMEOUT) 1800 $(BIN)/python -m benchmarks.fanout

takeover: setup ## kill -9 of one of three workers with 1 GB of state; writes its part of docs/faults.md
	$(TIMEOUT) 3600 $(BIN)/python -m benchmarks.takeover

soak: setup ## the trading graph at full load for 30 minutes: memory, lag, handles; writes docs/soak.md
	$(TIMEOUT) 3600 $(BIN)/python -m benchmarks.soak --minutes 30

fuzz: setup ## every parser, INPUTS of them (24 million); goes on where it broke off; writes docs/fuzzing.md
	nice -n 10 $(BIN)/python -m tests.fuzz.campaign --inputs $(INPUTS) --seed $(SEED) --out $(OUT)

fuzz-guided: setup ## the same led by coverage (atheris, Linux x86-64), a tenth as many
	nice -n 10 $(BIN)/python -m tests.fuzz.campaign --engine guided --inputs $$(( $(INPUTS) / 10 )) \
		--seed $(SEED) --out $(OUT)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: lint types imports test-long test ## what CI runs

format: setup ## mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## resolve pyproject.toml again into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet -o requirements.lock
	@# The image's: what is tested, less what only developers need; and what builds the wheel.
	$(BIN)/uv pip compile pyproject.toml --constraints requirements.lock --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --quiet \
		-o requirements-runtime.lock
	@# The peers of the benchmarks, which may want other versions than we do.
	$(BIN)/uv pip compile benchmarks/requirements.in --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet -o benchmarks/requirements.lock
	echo hatchling | $(BIN)/uv pip compile - --constraints requirements.lock --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --quiet \
		-o infra/image/build.lock
