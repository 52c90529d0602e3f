# Needs Python 3.10 or later with pip and venv, make, and nothing else.
#   make demo     install, export ONNX, build the FP16 RTX engine, upscale a photo
#   make test     install, run the tests
#   make bench    install, measure EFDN beside its peers, rewrite README's table: up to 15 minutes (ARGS="--all --compile" for more)
# All targets can be run again; the installation is done once.

PYTHON ?= $(shell python3.11 -c 'import venv, ensurepip' 2>/dev/null && echo python3.11 || echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
READY_TO_TEST := $(VENV)/ready-to-test
OUT ?= out
PHOTO := examples/lr/budgie-branch.png

.PHONY: demo test lint bench gpu-check assets wheel clean help

help:
	@sed -n '1,5s/^# *//p' Makefile
	@echo 'also: lint gpu-check assets wheel clean'

# A torch that is there already is kept, be it in the environment or in the Python it is made from:
# on a GPU machine that is usually a CUDA build that took some trouble to get.
$(READY): pyproject.toml constraints.txt Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $$($(PYTHON) -c 'import torch' 2>/dev/null && echo --system-site-packages) $(VENV)
	if $(BIN)/python -c 'import torch' 2>/dev/null; \
	then grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt; \
	else cp constraints.txt $(VENV)/constraints.txt && $(BIN)/python -m pip install -q -c $(VENV)/constraints.txt torch; fi
	$(BIN)/python -m pip install -q -c $(VENV)/constraints.txt -e '.[cpu,export,train,rtx,openvino,video,dev]'
	touch $@

$(READY_TO_TEST): $(READY)
	$(BIN)/python -m pip install -q -c $(VENV)/constraints.txt -e '.[ray,serve,dev-serve]'
	touch $@

demo: $(READY)
	@mkdir -p $(OUT)
	$(BIN)/efdn-export onnx -o $(OUT)/efdn_x4_dynamic_fp32.onnx
	$(BIN)/efdn-export trt --fp16 -o $(OUT)/efdn_x4_256x256_fp16_rtx.engine
	$(BIN)/efdn-infer $(PHOTO) --model $(OUT)/efdn_x4_dynamic_fp32.onnx -o $(OUT)/budgie-branch_x4.png --overwrite
	@echo
	@echo 'Written to $(OUT)/:'
	@cd $(OUT) && ls -1sh
	@echo 'Look at $(OUT)/budgie-branch_x4.png beside $(PHOTO), then try it on a photo of yours:'
	@echo '  $(BIN)/efdn-infer YOUR_PHOTO.jpg'

test: $(READY_TO_TEST)
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(READY_TO_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# PyTorch's own export, which is one of the peers, needs onnxscript.
bench: $(READY)
	$(BIN)/python -m pip install -q -c $(VENV)/constraints.txt onnxscript
	$(BIN)/python -m benchmarks.peers $(ARGS)
	$(BIN)/python -m benchmarks.main_path

# Installs nothing: it uses .venv where that is there, else PYTHON, and further Pythons that are named:
#   make gpu-check PYTHON=python3 PYTHONS="/opt/tensorrt/python"
PYTHONS ?=
gpu-check:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu_check $(foreach python,$(PYTHONS),--python $(python)) $(ARGS)

assets: $(READY)
	$(BIN)/efdn-export onnx -o efdn/assets/efdn_x4.onnx
	cd efdn/assets && sha256sum efdn_x4.safetensors efdn_x4.onnx verification.png > SHA256SUMS

wheel: $(READY)
	$(BIN)/python -m build -q

clean:
	rm -rf $(VENV) $(OUT) build dist *.egg-info
