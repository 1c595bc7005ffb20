# make demo   ask -> grade -> tune -> ask again -> publish, on two CPU cores, into demo/
# make test   the test suite
# Both create .venv first if it is missing. A finished step is not repeated: after an interruption
# run the same command again.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test clean
.DELETE_ON_ERROR:

demo: $(DEMO)/leaderboard/README.md
	@echo && echo "The picture:  $(DEMO)/leaderboard/figures/calib_worldfacts_bars.png"
	@echo "The table:    $<"

test: $(READY)
	$(BIN)/python -m pytest

clean:
	rm -rf $(DEMO)

# torch first: left to pip's resolver, a later and much larger build would be taken.
$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[plots,test]'
	touch $@

# ---------------------------------------------------------------------------------------- the demo
# bfloat16 is three times as fast as float32 on recent CPUs; probabilities are taken in float32.
ASK = model=$$($(BIN)/calibench model) && rm -rf $(@D) && $(BIN)/lm_eval run --model hf \
	--model_args "pretrained=$$model,dtype=bfloat16,softmax_dtype=float32$(ADAPTER)" \
	--include_path harness_tasks --tasks calib_worldfacts --device cpu --batch_size 32 \
	--log_samples --output_path $(@D)
QUERY = "methods": ["zero_shot_classifier"]

$(DEMO)/train/done: | $(READY)
	$(ASK) --limit 1000 --metadata '{$(QUERY), "split": "train"}' && touch $@

$(DEMO)/validation/done: | $(READY)
	$(ASK) --limit 250 --metadata '{$(QUERY), "split": "validation"}' && touch $@

$(DEMO)/base/done: | $(READY)
	$(ASK) --limit 400 && touch $@

$(DEMO)/graded/grading.json: $(DEMO)/train/done $(DEMO)/validation/done
	$(BIN)/calibench grade $(DEMO)/train $(DEMO)/validation -o $(@D)

$(DEMO)/adapter/README.md: $(DEMO)/graded/grading.json
	$(BIN)/calibench tune calibration_tuning_lora_prompt optimiser.epochs=1 \
		--model "$$($(BIN)/calibench model)" --data $(DEMO)/graded -o $(@D)

$(DEMO)/tuned/done: ADAPTER = ,peft=$(DEMO)/adapter
$(DEMO)/tuned/done: $(DEMO)/adapter/README.md $(DEMO)/base/done
	$(ASK) --limit 400 --metadata '{$(QUERY), "answers": "$(DEMO)/base"}' && touch $@

$(DEMO)/leaderboard/README.md: $(DEMO)/base/done $(DEMO)/tuned/done
	$(BIN)/calibench leaderboard build $(DEMO)/base $(DEMO)/tuned --graded $(DEMO)/graded -o $(@D)
