# Thin names for what README.md and docs/development.md say.  PYTHON is any Python from 3.9.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
PLATE := bbbc013
FIELDS := bbbc021
SEEDS := 0 1 2
IJ_JAR ?= /usr/share/java/ij.jar
JAR := plugins/imagej/phenoscale_.jar
VERSIONED := tables files images models scores profiles prediction evaluation checks exports reports \
    simulation test_estimator.py test_machine.py
SOURCES := setup.py pyproject.toml $(wildcard csrc/*.[ch] csrc/*/*.[ch] python/binding/*.[ch])

.PHONY: dev demo imagej tests mpi pythons cellprofiler test oldest newest sanitize valgrind soak figures counts recipes wheel bbbc013 bbbc021 lint clean

dev: $(VENV)/.ready          ## the environment, the build
$(VENV)/.installed: pyproject.toml tools/install-system-deps
	tools/install-system-deps
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e '.[test]'
	touch $@
$(VENV)/.ready: $(VENV)/.installed $(SOURCES)
	$(BIN)/python setup.py -q build_ext --inplace 2> $(VENV)/build.log || (cat $(VENV)/build.log; false)
	touch $@

demo: dev                    ## a simulated screen, a trained network, predictions, a report
	rm -rf $(DEMO)
	$(BIN)/phenoscale simulate $(DEMO)/screen --size 256x256 --sites 2
	$(BIN)/phenoscale train $(DEMO)/screen/screen.csv --label Metadata_Phenotype \
	    --holdout Metadata_Plate=Plate04 --controls Metadata_Control=negative \
	    --augment flip,turn,intensity --epochs 12 --val-fraction 0 --out $(DEMO)/run
	$(BIN)/phenoscale predict $(DEMO)/run/model.safetensors $(DEMO)/screen/screen.csv \
	    --out $(DEMO)/run/predictions.csv
	$(BIN)/phenoscale report $(DEMO)/run
	@echo "open $(DEMO)/run/report.html in a browser"

imagej: $(JAR)               ## the plugin of ImageJ and Fiji: needs a JDK and ij.jar
$(JAR): tools/build-imagej $(wildcard plugins/imagej/*.config plugins/imagej/src/*/*.java)
	tools/build-imagej $(IJ_JAR) $@

tests: dev                   ## what the tests need beside
	tools/install-system-deps tests
	$(MAKE) -j4 --output-sync=target imagej mpi pythons cellprofiler
mpi pythons:
	PYTHON=$(BIN)/python tools/install-$@ .$@
cellprofiler:
	! $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	    || PYTHON=$(BIN)/python tools/install-$@ .$@

# A file of tests goes to whichever of two processes is free, in order: long ones are not at the end.
test: tests                  ## every test
	$(BIN)/python -m pytest -m 'not alone' -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone
	$(MAKE) -j2 --output-sync=target oldest newest

# The module that the tests of the environment built, with other versions of all else: what is in C
# alone, hosts and ranks need no second time.
oldest newest:               ## the tests of what depends on versions, on the oldest and newest
	PYTHONPATH=$(CURDIR)/python .pythons/$@/bin/python -m pytest -p no:cacheprovider \
	    $(addprefix tests/,$(VERSIONED))

sanitize: tests              ## the part of them that runs under sanitizers
	$(BIN)/python -m pytest -m sanitize

valgrind: tests              ## the part of them that runs under valgrind
	$(BIN)/python -m pytest -m valgrind

soak: tests                  ## the long forms: hours
	$(BIN)/python -m pytest --soak -m soak -s

bbbc013: dev                 ## the real plate: make bbbc013 BBBC013=FOLDER_OF_ITS_TIFFS
	rm -rf $(PLATE) && mkdir $(PLATE)
	$(BIN)/phenoscale check "$(BBBC013)" --preset bbbc013 --label Metadata_Control \
	    --write $(PLATE)/table.csv
	$(BIN)/python tools/studies/plate_figures.py $(PLATE)/table.csv $(PLATE)

bbbc021: dev                 ## real fields: make bbbc021 BBBC021=FOLDER_OF_ITS_PNGS_AND_LABELS
	rm -rf $(FIELDS) && mkdir $(FIELDS)
	$(BIN)/phenoscale check "$(BBBC021)/labels.csv" --label moa \
	    --channels Actin=file:0,Tubulin=file:1,DNA=file:2 --write $(FIELDS)/table.csv \
	    --html $(FIELDS)/check.html
	for seed in $(SEEDS); do $(BIN)/phenoscale train $(FIELDS)/table.csv --label moa \
	    --channels Actin,Tubulin,DNA --cv compound --folds all --network mcnn-gap \
	    --seed $$seed --out $(FIELDS)/seed$$seed || exit; done
	$(BIN)/python tools/studies/fold_figures.py $(SEEDS:%=$(FIELDS)/seed%)

recipes: dev                 ## which recipe wins by inner folds: make recipes BBBC021=FOLDER
	mkdir -p recipes
	$(BIN)/phenoscale check "$(BBBC021)/labels.csv" --label moa \
	    --channels Actin=file:0,Tubulin=file:1,DNA=file:2 --write recipes/table.csv
	$(BIN)/python tools/studies/recipes.py recipes/table.csv recipes

counts: dev                  ## cells counted: make counts BBBC021=FOLDER, with CellProfiler installed
	$(BIN)/python tools/studies/cell_count.py truth
	$(BIN)/python tools/studies/cell_count.py "$(BBBC021)"

figures: dev                 ## held-out plates of simulated screens, beside simple classifiers
	$(BIN)/python tools/studies/figures.py

wheel: dev imagej            ## a self-contained wheel in wheelhouse/
	tools/install-system-deps wheel
	tools/build-wheel $(BIN)/python

lint: dev                    ## what ruff has to say
	$(BIN)/ruff check python plugins tests tools/studies tools/build-wheel \
	    tools/build-third-party tools/build-imagej setup.py

clean:
	rm -rf $(VENV) .cellprofiler .mpi .pythons build dist wheelhouse $(DEMO) python/*.egg-info \
	    python/phenoscale/*.so $(JAR)
