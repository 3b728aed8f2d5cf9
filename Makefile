# Every target is a thin name for a command: `make help` lists them, `.venv/bin/python -m scripts.<name> --help` teaches.
MODEL ?=
VERSION ?=
PORT ?= 8080
HOST ?= 127.0.0.1
MODE ?= development
FRONT ?= 1
IMAGE ?= samples/3.png
OUT ?= overlay.png
PYTHON ?= python3
TAG ?= torchlight:latest
MEMORY ?= 4g

RUN := .venv/bin/python -m
WHICH = $(if $(MODEL),--model $(MODEL)) $(if $(VERSION),--version $(VERSION))

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev train evaluate explain-report wrong-reason optimize tune compare archive serve stop predict explain models register promote retire rollback history samples \
	setup-docker wheelhouse docker-build docker-serve docker-logs docker-stop test measure measure-training measure-explanations measure-performance measure-worker \
	measure-bad-inputs openapi check \
	fix clean

help: ## this list
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-24s %s\n", $$1, $$2}'

setup: ## .venv with pinned wheels, Java and HAProxy among them; the others call it, and it is quick when done
	@$(PYTHON) scripts/setup.py train

setup-dev: ## the same with what tests and checks need
	@$(PYTHON) scripts/setup.py train dev docker

setup-docker:
	@$(PYTHON) scripts/setup.py train docker

train: setup ## train a model into releases/ [DATA=folder/of/your/images MODEL= VERSION= RECIPE=tuned ARCH=resnet9 RESUME=1 MORE=--help]
	@$(RUN) scripts.train $(WHICH) $(if $(DATA),--data $(DATA)) $(if $(RECIPE),--recipe $(RECIPE)) \
		$(if $(ARCH),--architecture $(ARCH)) $(if $(INIT),--init $(INIT)) $(if $(SIZE),--image-size $(SIZE)) \
		$(if $(EPOCHS),--epochs $(EPOCHS)) $(if $(filter-out 0,$(RESUME)),--resume) $(MORE)

evaluate: setup ## a release on any data set, with a report [MODEL= VERSION= DATA= SPLIT=test UNLIKE=images/of/another/kind]
	@$(RUN) scripts.evaluate $(WHICH) $(if $(DATA),--data $(DATA)) $(if $(SPLIT),--split $(SPLIT)) \
		$(if $(UNLIKE),--unlike $(UNLIKE))

explain-report: setup ## how good each attribution method is on a release; chooses its default [MODEL= VERSION= DATA= IMAGES=128]
	@$(RUN) scripts.explain_report $(WHICH) $(if $(DATA),--data $(DATA)) $(if $(IMAGES),--images $(IMAGES))

wrong-reason: setup ## a model that is right for the wrong reason, and how its explanations tell: some 3 minutes [IMAGES=32]
	@$(RUN) scripts.wrong_reason $(if $(IMAGES),--images $(IMAGES))

optimize: setup ## compile a release, int8 where that keeps its accuracy; needs a C++ compiler [MODEL= VERSION= DATA= ENGINES=int8,fp32]
	@$(RUN) scripts.optimize $(WHICH) $(if $(DATA),--data $(DATA)) $(if $(ENGINES),--engines $(ENGINES))

tune: setup ## find workers, threads, batch size and delay for this machine [MODEL= VERSION= P99_MS=50 IMAGES=folder CONFIG=]
	@$(RUN) scripts.tune $(WHICH) $(if $(P99_MS),--p99-ms $(P99_MS)) $(if $(IMAGES),--images $(IMAGES)) \
		$(if $(CONFIG),--config $(CONFIG))

compare: setup ## whether one release is better than another [A=cells/1.0 B=cells/2.0 DATA=]
	@$(RUN) scripts.compare $(A) $(B) $(if $(DATA),--data $(DATA))

archive: setup ## a release into model_store/*.mar, proved [MODEL= VERSION= CONFIG=model-config.yaml NEIGHBOURS=0]
	@$(RUN) scripts.archive $(WHICH) $(if $(CONFIG),--config $(CONFIG)) $(if $(filter 0,$(NEIGHBOURS)),--without-neighbours)

serve: setup ## serve it, on http://127.0.0.1:8080 [MODEL= VERSION= PORT= HOST= MODE=production FRONT=0 EXPLAIN_WORKERS=1 LONE_WORKER=0 FOREGROUND=1]
	@$(RUN) scripts.serve $(WHICH) --port $(PORT) --host $(HOST) --mode $(MODE) --front $(FRONT) \
		$(if $(EXPLAIN_WORKERS),--explain-workers $(EXPLAIN_WORKERS)) $(if $(LONE_WORKER),--lone-worker $(LONE_WORKER)) \
		$(if $(FOREGROUND),--foreground)

stop: setup ## stop it without losing a request [PORT=]
	@$(RUN) scripts.stop --port $(PORT)

predict: setup ## ask it, about one image or several [IMAGE="samples/3.png samples/7.png" MODEL= VERSION= PORT=]
	@$(RUN) scripts.predict $(IMAGE) $(WHICH) --port $(PORT)

explain: setup ## ask it why, as a picture [IMAGE= OUT=overlay.png TARGET=8 CONTRAST=3,8 METHOD=]; or a folder, without a server [DIR=folder]
	@$(if $(DIR),$(RUN) scripts.gallery $(DIR) $(WHICH) $(if $(filter-out 0,$(RESTART)),--restart),$(RUN) scripts.explain $(IMAGE) \
		--out $(OUT) $(if $(TARGET),--target $(TARGET)) $(if $(CONTRAST),--contrast $(CONTRAST)) $(WHICH) --port $(PORT)) \
		$(if $(METHOD),--method $(METHOD))

models: setup ## the versions of the running server [PORT=]
	@$(RUN) scripts.versions models --port $(PORT)

register promote retire: setup ## load a version beside the others, make it the default, take one away [VERSION=2.0 MODEL= PORT=]
	@$(RUN) scripts.versions $@ $(WHICH) --port $(PORT) $(if $(WORKERS),--workers $(WORKERS))

rollback: setup ## make the version before the default again [MODEL= PORT=]
	@$(RUN) scripts.versions rollback $(if $(MODEL),--model $(MODEL)) --port $(PORT)

history: setup ## what was done to its versions, when, by whom [PORT=]
	@$(RUN) scripts.versions history --port $(PORT)

wheelhouse: setup ## collect the wheels of the image, which then builds without a network [TORCH=torch==2.13.0+cpu]
	@$(RUN) scripts.wheelhouse $(if $(TORCH),--torch $(TORCH))

docker-build: setup-docker ## build the image [TORCH= BASE_IMAGE= TAG=torchlight:latest]
	@$(RUN) scripts.docker build --tag $(TAG) $(if $(TORCH),--torch $(TORCH)) $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE))

docker-serve: setup-docker ## serve from a container [GPU=1 GPUS=0,1 MODEL= VERSION= PORT= HOST= MODE=production MEMORY=4g EXPLAIN_WORKERS=1 LONE_WORKER=0 TAG=]
	@$(RUN) scripts.docker serve $(WHICH) --port $(PORT) --host $(HOST) --mode $(MODE) --memory $(MEMORY) --tag $(TAG) \
		$(if $(filter-out 0,$(GPU)),--gpu) $(if $(GPUS),--gpus $(GPUS)) \
		$(if $(EXPLAIN_WORKERS),--explain-workers $(EXPLAIN_WORKERS)) $(if $(LONE_WORKER),--lone-worker $(LONE_WORKER))

docker-logs: setup-docker ## follow its log [PORT=]
	@$(RUN) scripts.docker logs --port $(PORT)

docker-stop: setup-docker ## stop it without losing a request [PORT=]
	@$(RUN) scripts.docker stop --port $(PORT)

samples: setup ## write samples/ again
	@$(RUN) scripts.samples

test: setup-dev ## every test, against a real TorchServe, HAProxy and Docker (the last as root on Debian 12)
	@$(RUN) pytest

measure: setup ## docs/measured.md: what each step costs on this machine
	@$(RUN) benchmarks.first_road

measure-training: setup ## docs/training.md: what recipes come to on CIFAR-10, an hour or so [CIFAR10=folder FOLDER= ONLY=tuned]
	@$(RUN) benchmarks.training $(if $(CIFAR10),--cifar10 $(CIFAR10)) $(if $(FOLDER),--folder $(FOLDER)) $(if $(ONLY),--only $(ONLY))

measure-explanations: setup ## docs/explanations.md: costs, deadlines, what predictions lose, some 5 minutes [ONLY=costs RELEASE= IMAGES=]
	@$(RUN) benchmarks.explanations $(if $(ONLY),--only $(ONLY)) $(if $(RELEASE),--release $(RELEASE)) $(if $(IMAGES),--images $(IMAGES))

measure-performance: setup ## docs/performance.md: against other servers, each in its own environment, three quarters of an hour [PHOTOS=folder ONLY=small]
	@$(RUN) benchmarks.performance $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(ONLY),--only $(ONLY))

measure-worker: setup ## microseconds a request inside the worker, by step [AGAINST=<git revision>]
	@$(RUN) benchmarks.worker $(if $(AGAINST),--against $(AGAINST))

measure-bad-inputs: setup ## docs/reliability.md: 10,000 bad requests among good ones, some 3 minutes [COUNT= SEED=]
	@$(RUN) benchmarks.bad_inputs $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

openapi: setup ## deploy/openapi.json, from the definitions that the code goes by
	@$(RUN) scripts.openapi

check: setup-dev ## formatting, lint and types; changes nothing
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy

fix: setup-dev ## formatting and lint, mended where that is safe
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

clean: ## remove .venv, caches and logs; releases/ and model_store/ stay
	@rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache overlay.png && find . -name __pycache__ -prune -exec rm -rf {} +
