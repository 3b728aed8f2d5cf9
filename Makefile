# Every target runs one command: `make help` lists them, and `.venv/bin/torchlight COMMAND --help` explains all flags.
MODEL ?=
VERSION ?=
PORT ?= 8080
HOST ?= 127.0.0.1
MODE ?= development
PROXY ?= 1
UNBATCHED_WORKER ?= 1
NEIGHBORS ?= 1
IMAGE ?= samples/3.png
OUT ?= overlay.png
PYTHON ?= python3
TAG ?= torchlight:latest
MEMORY ?= 4g

# The value of a variable reaches its command exactly as it was typed. Make does not expand it, and the shell takes it from
# the environment, in quotes. So recipes use $(call flag,--data,DATA), never $(DATA). A new variable must be listed here; a
# test checks that.
VARIABLES := MODEL VERSION PORT HOST MODE PROXY UNBATCHED_WORKER NEIGHBORS IMAGE OUT PYTHON TAG MEMORY DATA RECIPE ARCH WEIGHTS SIZE \
	EPOCHS RESUME RESTART MORE SPLIT OOD_DATA IMAGES ENGINES P99_MS CONFIG A B EXPLAIN_WORKERS CORS_ORIGINS KEEP_ALIVE FOREGROUND TARGET CONTRAST METHOD \
	DIR WORKERS TORCH BASE_IMAGE GPU GPUS CIFAR10 FOLDER ONLY RELEASE PHOTOS AGAINST COUNT SEED \
	PLAN DRY_RUN
TYPED := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(sort $(VARIABLES) $(TYPED)),$(eval override $(name) := $$(value $(name))))
export $(VARIABLES) $(TYPED)

# "$DATA" in quotes, or with its flag before it, or nothing if it is empty.
argument = $(if $($1),"$$$1")
flag = $(if $($2),$1="$$$2")
# A switch is on or off. An empty one is off.
ON := 1 yes Yes YES true True TRUE on On ON y Y
OFF := 0 no No NO false False FALSE off Off OFF n N
on = $(if $(filter-out $(ON) $(OFF),$($1))$(word 2,$($1)),$(error $1 is '$($1)'; give 1 for yes or 0 for no),$(filter $(ON),$($1)))
switch = $(if $(call on,$2),$1)
number = $1=$(if $(call on,$2),1,0)

RUN := .venv/bin/python -m
# Commands print messages with the variables and targets of this file (scripts/dialect.py).
TORCHLIGHT := TORCHLIGHT_DIALECT=make .venv/bin/torchlight
WORDS := TORCHLIGHT_DIALECT=make .venv/bin/python -m scripts.maintenance.shell_words
WHICH = $(call flag,--model,MODEL) $(call flag,--version,VERSION)
WHERE = $(call flag,--port,PORT)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev train evaluate explain-report shortcut-demo optimize tune compare archive serve stop predict explain models register promote retire rollback history rollout java-cache samples \
	wheelhouse docker-build docker-serve docker-logs docker-stop test test-fast measure measure-training measure-explanations measure-performance measure-uncertainty measure-worker \
	measure-bad-inputs measure-rollouts measure-attacks reference openapi check \
	fix clean

help: ## list the targets
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-24s %s\n", $$1, $$2}'

setup: ## make .venv with pinned wheels, including Java and HAProxy; every other target runs it first
	@$(call argument,PYTHON) scripts/setup.py train docker

setup-dev: ## the same, with the packages for tests and checks
	@$(call argument,PYTHON) scripts/setup.py train dev docker

train: setup ## train a model into releases/ [DATA=folder/of/your/images MODEL= VERSION= RECIPE=tuned ARCH=resnet9 RESUME=1 MORE=--help]
	@$(if $(MORE),$(WORDS) MORE,$(TORCHLIGHT)) train $(WHICH) $(call flag,--data,DATA) $(call flag,--recipe,RECIPE) \
		$(call flag,--architecture,ARCH) $(call flag,--weights,WEIGHTS) $(call flag,--image-size,SIZE) \
		$(call flag,--epochs,EPOCHS) $(call switch,--resume,RESUME) $(call switch,--restart,RESTART)

evaluate: setup ## evaluate a release on a data set, with a report [MODEL= VERSION= DATA= SPLIT=test OOD_DATA=folder]
	@$(TORCHLIGHT) evaluate $(WHICH) $(call flag,--data,DATA) $(call flag,--split,SPLIT) \
		$(call flag,--ood-data,OOD_DATA)

explain-report: setup ## compare attribution methods on a release, and choose its default [MODEL= VERSION= DATA= IMAGES=128]
	@$(TORCHLIGHT) explain-report $(WHICH) $(call flag,--data,DATA) $(call flag,--images,IMAGES)

shortcut-demo: setup ## train a model that learns a shortcut, and show it by its explanations, about 3 minutes [IMAGES=32]
	@$(TORCHLIGHT) shortcut-demo $(call flag,--images,IMAGES)

optimize: setup ## compile a release, in int8 if its accuracy stays; needs a C++ compiler [MODEL= VERSION= DATA= ENGINES=int8,fp32]
	@$(TORCHLIGHT) optimize $(WHICH) $(call flag,--data,DATA) $(call flag,--engines,ENGINES)

tune: setup ## find workers, threads, batch size and delay for this machine [MODEL= VERSION= P99_MS=50 IMAGES=folder CONFIG=]
	@$(TORCHLIGHT) tune $(WHICH) $(call flag,--p99-ms,P99_MS) $(call flag,--images,IMAGES) \
		$(call flag,--config,CONFIG)

compare: setup ## test whether one release is better than another [A=cells/1.0 B=cells/2.0 DATA=]
	@$(TORCHLIGHT) compare $(call flag,--data,DATA) -- $(call argument,A) $(call argument,B)

archive: setup ## archive a release as model_store/*.mar, and check its answers [MODEL= VERSION= CONFIG=model-config.yaml NEIGHBORS=0]
	@$(TORCHLIGHT) archive $(WHICH) $(call flag,--config,CONFIG) $(if $(call on,NEIGHBORS),,--without-neighbors)

serve: setup ## serve the model store, on http://127.0.0.1:8080 [MODEL= VERSION= PORT= HOST= MODE=production PROXY=0 EXPLAIN_WORKERS=1 UNBATCHED_WORKER=0 CORS_ORIGINS= KEEP_ALIVE=75 FOREGROUND=1]
	@$(TORCHLIGHT) serve $(WHICH) $(WHERE) $(call flag,--host,HOST) $(call flag,--mode,MODE) $(call number,--proxy,PROXY) \
		$(call flag,--explain-workers,EXPLAIN_WORKERS) $(call number,--unbatched-worker,UNBATCHED_WORKER) \
		$(call flag,--cors-origins,CORS_ORIGINS) $(call flag,--keep-alive,KEEP_ALIVE) $(call switch,--foreground,FOREGROUND)

stop: setup ## stop the server without losing a request [PORT=]
	@$(TORCHLIGHT) stop $(WHERE)

predict: setup ## classify one image or several [IMAGE="samples/3.png samples/7.png" MODEL= VERSION= PORT=]
	@$(WORDS) IMAGE predict $(WHICH) $(WHERE) --

explain: setup ## explain the answer for an image, as a picture [IMAGE= OUT=overlay.png TARGET=8 CONTRAST=3,8 METHOD=]; or for all images of a folder, without a server [DIR=folder RESTART=1]
	@$(TORCHLIGHT) $(if $(DIR),gallery $(call switch,--restart,RESTART) $(WHICH) $(call flag,--method,METHOD) -- $(call argument,DIR),explain \
		$(call flag,--out,OUT) $(call flag,--target,TARGET) $(call flag,--contrast,CONTRAST) $(call flag,--method,METHOD) $(WHICH) $(WHERE) \
		-- $(call argument,IMAGE))

models: setup ## list the versions of the running server [PORT=]
	@$(TORCHLIGHT) versions models $(WHERE)

register: setup ## load a version beside the default [VERSION=2.0 MODEL= WORKERS=2 PORT=]
	@$(TORCHLIGHT) versions register $(WHICH) $(WHERE) $(call flag,--workers,WORKERS)

promote retire: setup ## make a version the default, or remove it [VERSION=2.0 MODEL= PORT=]
	@$(TORCHLIGHT) versions $@ $(WHICH) $(WHERE)

rollback: setup ## make the previous default version the default again [MODEL= PORT=]
	@$(TORCHLIGHT) versions rollback $(call flag,--model,MODEL) $(WHERE)

history: setup ## list changes of versions, with time and user [PORT=]
	@$(TORCHLIGHT) versions history $(WHERE)

rollout: setup ## roll a version out on live traffic, and show it until it has ended [VERSION=2.0 MODEL= PLAN=plan.yaml DRY_RUN=1 PORT=]
	@$(TORCHLIGHT) rollout start $(WHICH) $(WHERE) $(call flag,--plan,PLAN) $(call switch,--dry-run,DRY_RUN) --wait

wheelhouse: setup ## collect the wheels of the Docker image, which then builds without a network [TORCH=torch==2.13.0+cpu]
	@$(TORCHLIGHT) maintenance wheelhouse $(call flag,--torch,TORCH)

docker-build: setup ## build the Docker image [TORCH= BASE_IMAGE= TAG=torchlight:latest]
	@$(TORCHLIGHT) docker build $(call flag,--tag,TAG) $(call flag,--torch,TORCH) $(call flag,--base-image,BASE_IMAGE)

docker-serve: setup ## serve from a container [GPU=1 GPUS=0,1 MODEL= VERSION= PORT= HOST= MODE=production MEMORY=4g EXPLAIN_WORKERS=1 UNBATCHED_WORKER=0 CORS_ORIGINS= TAG=]
	@$(TORCHLIGHT) docker serve $(WHICH) $(WHERE) $(call flag,--host,HOST) $(call flag,--mode,MODE) $(call flag,--memory,MEMORY) $(call flag,--tag,TAG) \
		$(call switch,--gpu,GPU) $(call flag,--gpus,GPUS) \
		$(call flag,--explain-workers,EXPLAIN_WORKERS) $(call number,--unbatched-worker,UNBATCHED_WORKER) \
		$(call flag,--cors-origins,CORS_ORIGINS) $(call flag,--keep-alive,KEEP_ALIVE)

docker-logs: setup ## follow the log of the container [PORT=]
	@$(TORCHLIGHT) docker logs $(WHERE)

docker-stop: setup ## stop the container without losing a request [PORT=]
	@$(TORCHLIGHT) docker stop $(WHERE)

java-cache: setup ## make the Java AOT cache again, after a change of Java, TorchServe or its vmargs
	@$(TORCHLIGHT) maintenance java-cache

samples: setup ## write samples/
	@$(TORCHLIGHT) maintenance samples

# Integration tests that mostly wait run two files at a time. All others have the machine to themselves, because they measure.
test: setup-dev ## run every test, with a real TorchServe, HAProxy and Docker (as root on Debian 12)
	@$(RUN) pytest -n auto --maxprocesses 4 tests/unit
	@$(RUN) pytest -n 2 --dist loadfile tests/integration/docs tests/integration/training tests/integration/rollout
	@$(RUN) pytest tests/integration tests/e2e --ignore=tests/integration/docs --ignore=tests/integration/training \
		--ignore=tests/integration/rollout

test-fast: setup-dev ## the unit tests but the slow ones, about 4 minutes on 2 cores
	@$(RUN) pytest -n auto --maxprocesses 4 -m "unit and not slow" tests/unit

measure: setup ## docs/benchmarks/end-to-end.md: cost of each step on this machine
	@$(RUN) benchmarks.end_to_end

measure-training: setup ## docs/benchmarks/training.md: train the recipes on CIFAR-10, about an hour [CIFAR10=folder FOLDER= ONLY=tuned]
	@$(RUN) benchmarks.training $(call flag,--cifar10,CIFAR10) $(call flag,--folder,FOLDER) $(call flag,--only,ONLY)

measure-uncertainty: setup ## docs/explanation/uncertainty.md: is what answers say of themselves true; several networks, some 15 minutes [DATA=folder]
	@$(RUN) benchmarks.uncertainty $(call flag,--data,DATA)

measure-explanations: setup ## docs/benchmarks/explanations.md: cost of explanations, deadlines, effect on predictions, some 5 minutes [ONLY=costs RELEASE= IMAGES=]
	@$(RUN) benchmarks.explanations $(call flag,--only,ONLY) $(call flag,--release,RELEASE) $(call flag,--images,IMAGES)

measure-performance: setup ## docs/benchmarks/performance.md: comparison with other servers, 45 minutes [PHOTOS=folder ONLY=small]
	@$(RUN) benchmarks.compare $(call flag,--photos,PHOTOS) $(call flag,--only,ONLY)

measure-worker: setup ## CPU microseconds of a request inside the worker, by step [AGAINST=<git revision>]
	@$(RUN) benchmarks.worker $(call flag,--against,AGAINST)

measure-bad-inputs: setup ## docs/benchmarks/bad-inputs.md: fuzz a server under load, 10,000 bad requests among good ones, about 3 minutes [COUNT= SEED=]
	@$(RUN) benchmarks.bad_inputs $(call flag,--count,COUNT) $(call flag,--seed,SEED)

measure-rollouts: setup-dev ## docs/benchmarks/rollouts.md: rollouts under load: failed requests, time to the last wrong answer, some 12 minutes
	@$(RUN) benchmarks.rollouts

measure-attacks: setup-dev ## docs/benchmarks/attacks.md: attacks on servers of this machine, some 8 minutes [ONLY=smuggling]
	@$(RUN) benchmarks.attacks $(call flag,--only,ONLY)

reference: setup ## write the parts of docs/reference/ that are made from the code
	@$(TORCHLIGHT) maintenance reference

openapi: setup ## write deploy/openapi.json from the definitions in the code
	@$(TORCHLIGHT) maintenance openapi

check: setup-dev ## check formatting, lint and types; changes nothing
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy

fix: setup-dev ## fix formatting, and lint where that is safe
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

clean: ## remove .venv, caches and logs, but not releases/ and model_store/
	@rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache overlay.png && find . -name __pycache__ -prune -exec rm -rf {} +
