# `make run` and `make test` need only make and Python 3.11 or newer: each sets up .venv by itself,
# once; after that only a change of pyproject.toml or constraints.txt installs again.

# Many containers forbid Python to keep byte code. Tests start hundreds of processes, and each would compile all that it
# imports anew; environments that uv makes have no byte code of their own, either. `make clean` removes it.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
# What installs from a PEP 735 dependency group; the pip that comes with Python 3.11 is too old for it.
PIP := pip>=25.1
UV := UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(BIN)/uv
# What is tested with the lowest versions: what meets a dependency, in a minute.
LOWEST := $(addprefix tests/checkpoint/,test_columns.py test_parquet.py test_resume.py test_store.py) \
    $(addprefix tests/beam/,test_combine.py test_inference.py test_retries.py test_write.py) \
    $(addprefix tests/,estimators/test_estimator.py estimators/test_merging.py test_layer.py plots/test_plots.py wire/test_wire.py cli/test_fit.py) \
    -k "not memory and not terminals"

.DEFAULT_GOAL := help
.PHONY: help install run test check runners prism engines engines-suite kafka kafka-jars object-store kill-engines lint format house types bench fast peers cost paper docs docs-serve clean \
    fuzz fuzz-same kill soak dask gloo spark flink others lowest no-torch imports outside dist smoke audit

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## set up .venv (the other targets do it by themselves)

run: $(STAMP)  ## the main job: components of a sensor stream, window by window
	$(BIN)/python -m beam_pipelines.demo $(ARGS)

# A process for each core, up to four; the tests of a file share one. (ARGS="-n 0": only this one.)
test: $(STAMP)  ## the tests and the examples in docstrings (ARGS="-k wire" picks some)
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	    -n auto --maxprocesses 4 --dist loadfile $(ARGS)

# What fails fastest comes first; the tests come last, so that their summary closes the log.
CHECKS := lint types docs fuzz-same smoke lowest outside runners no-torch test
check: $(STAMP)  ## all that continuous integration runs; it stops at the first failure
	@for step in $(CHECKS); do \
	    echo "== make $$step"; $(MAKE) --no-print-directory ARGS= $$step || exit 1; \
	done

# Prism and Beam's pool of workers listen on every interface: where Linux lets us, they do it in a
# network of their own.
ALONE := $(shell unshare -rn ip link set lo up >/dev/null 2>&1 && \
    echo "unshare -rn sh -c 'ip link set lo up && exec \"\$$@\"' alone")
PRISM ?= $(BIN)/prism
BEAM = $$($(BIN)/python -c "import importlib.metadata as m; print(m.version('apache-beam'))")

prism: $(STAMP)  ## Beam's portable runner, of the version of the installed Beam; needs Go
	@if command -v go >/dev/null; then \
	    GOBIN="$(abspath $(dir $(PRISM)))" go install "github.com/apache/beam/sdks/v2/go/cmd/prism@v$(BEAM)" \
	    || echo "Prism could not be built: tests that need it skip"; \
	else echo "there is no Go: Prism is not installed, and tests that need it skip"; fi

# Tracebacks are Python's own: pytest's parse the source, which CPython 3.11 may fail at deep in Beam.
ENGINES := -m engines --tb=native -n auto --maxprocesses 4 --dist loadfile
engines: $(STAMP)  ## the main job on Prism, in processes and in pools of workers: the same files (ARGS="-k pool")
	@test -x "$(PRISM)" || $(MAKE) prism
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PRISM="$(abspath $(PRISM))" $(ALONE) $(BIN)/python -m pytest \
	    $(ENGINES) tests/beam/test_engines.py tests/beam/test_submission.py tests/beam/test_watch.py $(ARGS)

engines-suite: $(STAMP)  ## all tests of pipelines on Prism and on the older local runner, half an hour
	@test -x "$(PRISM)" || $(MAKE) prism
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PRISM="$(abspath $(PRISM))" $(ALONE) $(BIN)/python -m pytest \
	    $(ENGINES) tests/beam $(ARGS)

# Jars of Kafka's broker and of Beam's Java side, from Maven; KAFKA_JARS and BEAM_JARS say where they are if
# somebody has them already.
KAFKA_JARS ?= build/kafka
BEAM_JARS ?= build/beam-java
JARS = mvn --quiet --batch-mode dependency:copy-dependencies
kafka-jars:  ## Kafka's broker and Beam's Java side, for `make kafka`; needs Maven
	@if command -v mvn >/dev/null; then \
	    $(JARS) --file tests/support/kafka/pom.xml -DoutputDirectory="$(abspath $(KAFKA_JARS))" && \
	    $(JARS) --file tests/support/kafka/beam.xml -DoutputDirectory="$(abspath $(BEAM_JARS))" \
	    || echo "Jars could not be fetched: tests that need them skip"; \
	else echo "there is no Maven: no jars are fetched, and tests that need them skip"; fi

# Prism and Beam's Java side listen on every interface, too.
kafka: $(STAMP)  ## a real broker of Kafka: 200 kills of a fit, 30 of a job of Beam (KILLS=20 JOB_KILLS=3)
	@ls "$(KAFKA_JARS)"/kafka_2.13-*.jar "$(BEAM_JARS)"/beam-sdks-java-io-kafka-*.jar >/dev/null 2>&1 || $(MAKE) kafka-jars
	@test -x "$(PRISM)" || $(MAKE) prism
	KILLS=$${KILLS:-200} JOB_KILLS=$${JOB_KILLS:-30} OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PRISM="$(abspath $(PRISM))" \
	    KAFKA_JARS="$(abspath $(KAFKA_JARS))" BEAM_JARS="$(abspath $(BEAM_JARS))" $(ALONE) $(BIN)/python -m pytest -q -s \
	    -m kafka -n 0 --tb=native tests/cli/test_kafka.py tests/beam/test_kafka_job.py $(ARGS)

object-store: $(STAMP)  ## stores on a server that speaks S3, killed between any two requests
	$(UV) venv --quiet --clear --python $(BIN)/python build/$@
	$(UV) pip install --quiet --python build/$@/bin/python "moto[s3,server]>=5.1"
	MOTO="$(abspath build/$@/bin/moto_server)" OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q \
	    -m object_store -n 0 tests/checkpoint/test_object_store.py $(ARGS)

kill-engines: $(STAMP)  ## 50 jobs on Prism whose worker or runner is killed, and resumed (KILLS=200)
	@test -x "$(PRISM)" || $(MAKE) prism
	KILLS=$${KILLS:-50} OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PRISM="$(abspath $(PRISM))" $(ALONE) \
	    $(BIN)/python -m pytest -q -s -m engines -k killed tests/beam/test_engines.py $(ARGS)

# Where Go, Java or Maven is missing, the tests that need it are skipped, and say so. Servers of others may not come up
# in time on a busy machine: what fails is run once more, and both runs are in the log.
runners:  ## what continuous integration runs of engines: Prism, a broker of Kafka, S3, Dask, gloo, Spark; a few kills of each
	@set -e; again() { "$$@" || { echo "== failed, once more: $$*"; "$$@"; }; }; \
	export KILLS=3; again $(MAKE) --no-print-directory engines; \
	export KILLS=5 JOB_KILLS=1; again $(MAKE) --no-print-directory kafka; \
	again $(MAKE) --no-print-directory object-store ARGS='-k "not prune and not compact"'; \
	again $(MAKE) --no-print-directory others

lint: $(STAMP)  ## ruff: rules and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)  ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

house: $(STAMP)  ## draw the picture of the wings in CONTRIBUTING.md from the imports
	PYTHONPATH=tests/support $(BIN)/python -m house_picture

types: $(STAMP)  ## mypy, strict on streampca
	$(BIN)/mypy

bench: $(STAMP)  ## speed and accuracy beside scikit-learn's IncrementalPCA, in one run
	$(BIN)/python -m benchmarks.core $(ARGS)

fast: $(STAMP)  ## the speeds that are promised, each beside its limit: ten minutes (ARGS="mnist10" picks)
	$(BIN)/python -m benchmarks.fast $(ARGS)

peers: $(STAMP)  ## speed, accuracy and cost beside all peers; renders docs/performance.md (ARGS picks)
	$(BIN)/python -m benchmarks.peers $(ARGS)

cost: $(STAMP)  ## the cost model beside what is measured, under five minutes (ARGS="--renew": new prices)
	$(BIN)/python -m benchmarks.cost $(ARGS)

paper: $(STAMP)  ## the figures of docs/paper.md, half an hour on one core (ARGS="figure1 cost" picks some)
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.paper $(ARGS)

# The theme's notice is about MkDocs 2, which pyproject.toml keeps out. With --quiet, --strict counts no
# warnings.
docs: $(DOCS_STAMP)  ## the documentation site, in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html opens in a browser as it is"

docs-serve: $(DOCS_STAMP)  ## show the site while you write it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --livereload

fuzz: $(STAMP)  ## hostile bytes for all that is read, hostile rows (ARGS="streams --count 10000")
	PYTHONPATH=tests/support:tests:. $(BIN)/python -m fuzz $(ARGS)

# A search by chance belongs to a person's time, not in the way of each change.
fuzz-same: $(STAMP)  ## the same, with the same inputs each time: what `make check` runs
	PYTHONPATH=tests/support:tests:. $(BIN)/python -m fuzz --seed 1 $(ARGS)

kill: $(STAMP)  ## 400 writers of checkpoints and 400 that compact, prune, write and copy killed at random moments, ten minutes (KILLS=2000)
	KILLS=$${KILLS:-400} $(BIN)/python -m pytest -s tests/checkpoint/test_killed.py tests/checkpoint/test_tidy_killed.py $(ARGS)

soak: $(STAMP)  ## ten million rows through River and through Beam: memory, speed, orthogonality
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.soak $(ARGS)

# Old versions warn of what newer ones have mended: here a warning is no error. River comes last: it wants a newer
# numpy than the rest.
AS_LOWEST = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 build/lowest/bin/python -m pytest -q -o filterwarnings=default \
    --disable-warnings -p no:cacheprovider
TO_LOWEST = $(UV) pip install --quiet --python build/lowest/bin/python --resolution lowest-direct --editable
lowest: $(STAMP)  ## tests with the lowest versions of dependencies that pyproject.toml allows
	$(UV) venv --quiet --clear --python $(BIN)/python build/lowest
	$(TO_LOWEST) ".[torch,beam,plot,cli,monitor,onnx,serve,sklearn,kafka]" --group dev
	$(AS_LOWEST) $(LOWEST) $(ARGS)
	$(TO_LOWEST) ".[river]"
	$(AS_LOWEST) tests/river/test_river.py tests/river/test_rivers_checks.py $(ARGS)

# torch is an extra: all others, and all that is done with rows of numbers, do without. Left out is what does not run the
# package (the text of the source and of the documentation, benchmarks), what `make fuzz-same` runs, and processes that
# are killed at random: `make test` has them.
NO_TORCH = $(addprefix --ignore=tests/,benchmarks fuzz $(addprefix checkpoint/,test_killed.py test_tidy_killed.py test_full_disk.py) \
    $(addprefix project/,test_house.py test_no_pickle.py test_public_names.py test_reliability.py))
EXTRAS := river,beam,plot,cli,monitor,onnx,serve,sklearn,kafka
no-torch: $(STAMP)  ## the tests where torch is not installed; those that need it skip
	$(UV) venv --quiet --clear --python $(BIN)/python build/no-torch
	$(UV) pip install --quiet --python build/no-torch/bin/python --constraint constraints.txt --group dev --editable ".[$(EXTRAS)]"
	! build/no-torch/bin/python -c "import torch" 2>/dev/null
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 build/no-torch/bin/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile \
	    -p no:cacheprovider $(NO_TORCH) $(ARGS)

imports: $(STAMP)  ## what `import streampca` takes, beside numpy and pyarrow
	$(BIN)/python -m benchmarks.imports $(ARGS)

outside: $(STAMP)  ## tests of scikit-learn and hyperspy with our classes in the place of theirs
	$(UV) venv --quiet --clear --python $(BIN)/python build/outside
	$(UV) pip install --quiet --python build/outside/bin/python --constraint constraints.txt --group outside --editable ".[sklearn]"
	PYTHONPATH=tests/support:tests OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 build/outside/bin/python -m outside $(ARGS)

# Each engine as its registry has it, in an environment of its own, beside this tree and the versions that it takes.
# Lines go into benchmarks/results/engines.csv and the table of docs/engines.md; with QUICK=--quick they do not.
ENGINE = $(UV) venv --quiet --clear --python $(BIN)/python build/$@ && \
    $(UV) pip install --quiet --python build/$@/bin/python --editable .
ALONE_ENGINE = $(ALONE) env PYTHONPATH=. OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 GLOO_SOCKET_IFNAME=lo
AS_ENGINE = $(ALONE_ENGINE) build/$@/bin/python
JAVA = command -v java >/dev/null || { echo "make $@ is left out: there is no Java"; exit 0; }; set -e
dask: $(STAMP)  ## parts merged in a tree by two processes of Dask, some of them killed
	$(ENGINE) "dask[array,distributed]>=2025.1" $(if $(QUICK),,dask-ml)
	$(AS_ENGINE) -m benchmarks.engines.dask_tree $(QUICK)

gloo: $(STAMP)  ## hooks of torch in three processes that end with the same bits; EVA beside PEFT's own PCA
	$(ENGINE) "torch>=2.13" peft
	$(AS_ENGINE) -m benchmarks.engines.gloo
	$(AS_ENGINE) -m benchmarks.engines.activations

spark: $(STAMP)  ## batch, keys and streams of Spark in two executors, some of them killed; needs Java
	@$(JAVA); \
	$(ENGINE) "pyspark>=4.0" "pandas>=2.2,<3" "protobuf>=6.33"; \
	if [ -n "$(QUICK)" ]; then $(AS_ENGINE) -m benchmarks.engines.spark_quick $(QUICK); exit; fi; \
	$(AS_ENGINE) -m benchmarks.engines.spark; \
	$(AS_ENGINE) -m benchmarks.engines.spark_stream

flink: $(STAMP)  ## keyed state on a cluster of Flink whose task managers are killed; needs Java
	@$(JAVA); \
	$(ENGINE) "apache-flink>=2.1"; \
	$(AS_ENGINE) -m benchmarks.engines.flink

# torch is in $(VENV) already.
others: $(STAMP)  ## what continuous integration can afford of Dask, gloo and Spark: minutes, with installation
	$(MAKE) --no-print-directory dask QUICK=--quick
	$(ALONE_ENGINE) $(BIN)/python -m benchmarks.engines.gloo --quick
	$(MAKE) --no-print-directory spark QUICK=--quick

dist: $(STAMP)  ## the source distribution, and the wheel that is built from it, in dist/
	rm -rf dist
	$(UV) build --quiet --out-dir dist

smoke: dist  ## install the wheel into empty environments, without extras and with all, and use it
	for extras in "" "[all]"; do \
	    $(UV) venv --quiet --clear --python $(BIN)/python build/empty && \
	    $(UV) pip install --quiet --python build/empty/bin/python --constraint constraints.txt "$$(echo dist/*.whl)$$extras" && \
	    (cd / && "$(CURDIR)/build/empty/bin/python" -I "$(CURDIR)/tests/smoke.py" $${extras:+all}) || exit 1; \
	done

# Asks a service about every version: not a step of continuous integration, which has to pass without.
audit: $(STAMP)  ## known vulnerabilities of the versions in constraints.txt
	$(UV) tool run "pip-audit>=2.7" --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

clean:  ## remove caches and results; .venv stays
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist out site
	find streampca beam_pipelines benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Asks each candidate itself: a python3.11 on the PATH may be a shim that cannot start.
$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Setting up $(VENV) with $$($$python --version)"; \
	        $$python -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	        exit 0; \
	    fi; \
	done; \
	echo "streampca needs Python 3.11 or newer; give one with: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 1

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade "$(PIP)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable ".[all]"
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	@touch $@
