# make demo     ask -> grade -> tune -> ask again -> publish, small enough for two CPU cores
# make test     the test suite
# make publish  the same job at full size; makes the table in leaderboards/ (an hour and a half)
# make regress  has the model or the recipe become worse? A small run, held against its baselines
# make experiments  the adapters' experiments (hours; most need data sets from the Hub)
# Each creates .venv first if it is missing. A finished step is not repeated: after an interruption
# give the same command again.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test publish regress experiments clean
.DELETE_ON_ERROR:

demo: demo/leaderboard/README.md
	@echo && echo "The picture:  demo/leaderboard/figures/calib_worldfacts_bars.png"
	@echo "The table:    $<"
	@echo "The site:     demo/leaderboard/site/index.html"

# Two files at a time, each on one thread; in the order of their names, since the longest come early.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

publish: leaderboards/README.md

clean:
	rm -rf demo runs

# torch first: left to pip's resolver, a later and much larger build would be taken.
$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[plots,test]'
	touch $@

# bfloat16 is about three times as fast as float32 on recent CPUs; probabilities are in float32.
DTYPE := bfloat16
ASK = model=$$($(BIN)/calibench model) && rm -rf $(@D) && $(BIN)/lm_eval run --model hf \
	--model_args "pretrained=$$model,dtype=$(DTYPE),softmax_dtype=float32$(ADAPTER)" \
	--include_path harness_tasks --device cpu --batch_size 32 --log_samples --output_path $(@D)
TUNE = $(BIN)/calibench tune calibration_tuning_lora_prompt --model "$$($(BIN)/calibench model)" \
	-o $(@D)
QUERY := "methods": ["zero_shot_classifier"]
HIDDEN := "methods": ["question_only"]

# ------------------------------------------------------------------------------------------- demo
# "private": a plain target variable would reach the prerequisites too.
SMALL := --tasks calib_worldfacts --limit

demo/train/done: | $(READY)
	$(ASK) $(SMALL) 1200 --metadata '{$(QUERY), "split": "train"}' && touch $@

demo/validation/done: | $(READY)
	$(ASK) $(SMALL) 200 --metadata '{$(QUERY), "split": "validation"}' && touch $@

demo/base/done: | $(READY)
	$(ASK) $(SMALL) 250 && touch $@

demo/graded/grading.json: demo/train/done demo/validation/done
	rm -rf $(@D) && $(BIN)/calibench grade demo/train demo/validation -o $(@D)

demo/adapter/README.md: demo/graded/grading.json
	$(TUNE) --data demo/graded

demo/tuned/done: private ADAPTER = ,peft=demo/adapter
demo/tuned/done: demo/adapter/README.md demo/base/done
	$(ASK) $(SMALL) 250 --metadata '{$(QUERY), "answers": "demo/base"}' && touch $@

demo/leaderboard/README.md: demo/base/done demo/tuned/done
	$(BIN)/calibench leaderboard build demo/base demo/tuned --graded demo/graded -o $(@D)

# ---------------------------------------------------------------------------------------- publish
# runs/base, base_ood: the base model, all methods. runs/tuned*: the adapter on the base model's
# answers; runs/own: on its own answers, which shows what tuning did to accuracy. The adapter of
# runs/hidden_adapter never saw an answer: a sanity row.
runs/train/done: | $(READY)
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY), "split": "train"}' && touch $@

runs/validation/done: | $(READY)
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY), "split": "validation"}' && touch $@

runs/base/done: | $(READY)
	$(ASK) --tasks calib_worldfacts && touch $@

runs/base_ood/done: | $(READY)
	$(ASK) --tasks calib_worldfacts_ood && touch $@

runs/graded/grading.json: runs/train/done runs/validation/done
	rm -rf $(@D) && $(BIN)/calibench grade runs/train runs/validation -o $(@D)

runs/adapter/README.md: runs/graded/grading.json
	$(TUNE) --data runs/graded

runs/tuned/done runs/tuned_ood/done runs/own/done: private ADAPTER = ,peft=runs/adapter
runs/tuned/done: runs/adapter/README.md runs/base/done
	$(ASK) --tasks calib_worldfacts --metadata '{$(QUERY), "answers": "runs/base"}' && touch $@

runs/tuned_ood/done: runs/adapter/README.md runs/base_ood/done
	$(ASK) --tasks calib_worldfacts_ood --metadata '{$(QUERY), "answers": "runs/base_ood"}' && touch $@

runs/own/done: runs/adapter/README.md
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

runs/hidden_adapter/README.md: runs/hidden_graded/grading.json
	$(TUNE) --data runs/hidden_graded

runs/hidden/done runs/hidden_ood/done: private ADAPTER = ,peft=runs/hidden_adapter
runs/hidden/done: runs/hidden_adapter/README.md runs/base/done
	$(ASK) --tasks calib_worldfacts --metadata '{$(HIDDEN), "answers": "runs/base"}' && touch $@

runs/hidden_ood/done: runs/hidden_adapter/README.md runs/base_ood/done
	$(ASK) --tasks calib_worldfacts_ood --metadata '{$(HIDDEN), "answers": "runs/base_ood"}' && touch $@

PUBLISHED := $(addprefix runs/,base base_ood tuned tuned_ood own hidden hidden_ood)
leaderboards/README.md: $(PUBLISHED:=/done)
	$(BIN)/calibench leaderboard build $(PUBLISHED) --graded runs/graded -o runs/leaderboard
	cp runs/leaderboard/figures/calib_worldfacts_bars.* leaderboards/figures
	$(BIN)/calibench leaderboard add $(PUBLISHED) --replace \
		--adapter runs/adapter --adapter runs/hidden_adapter
	$(BIN)/calibench leaderboard build

# ------------------------------------------------------------------------------------ experiments
# A config gives a result; one of them alone: make adapters/experiments/NAME/result.json
EXPERIMENTS := $(wildcard adapters/experiments/*/config.yaml)
experiments: $(EXPERIMENTS:config.yaml=result.json)
	$(BIN)/python -m calib_adapters.experiment table adapters/experiments

adapters/experiments/%/result.json: adapters/experiments/%/config.yaml | $(READY)
	$(BIN)/python -m calib_adapters.experiment run $(@D)

# ---------------------------------------------------------------------------------------- regress
# In float32, unlike the rest: on another processor its confidences move by 1e-5, and it is as fast
# where a processor has no bfloat16. Always from the beginning: what is tested is today's code. The
# runs that need no adapter go two at a time, one thread each.
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
	$(ASK) $(SMALL) 128 --metadata '{$(QUERY), "split": "train"}' && touch $@

$(REGRESS)/validation/done: | $(READY)
	$(ASK) $(SMALL) 48 --metadata '{$(QUERY), "split": "validation"}' && touch $@

$(REGRESS)/graded/grading.json: $(REGRESS)/train/done $(REGRESS)/validation/done
	$(BIN)/calibench grade $(REGRESS)/train $(REGRESS)/validation -o $(@D)

$(REGRESS)/adapter/README.md: $(REGRESS)/graded/grading.json
	$(TUNE) --data $(REGRESS)/graded dtype=float32 optimiser.epochs=2 optimiser.batch_size=8 \
		optimiser.warmup_steps=4

$(REGRESS)/tuned/done: private ADAPTER = ,peft=$(REGRESS)/adapter
$(REGRESS)/tuned/done: $(REGRESS)/adapter/README.md
	$(ASK) $(SMALL) 150 --metadata '{$(QUERY)}' && touch $@
