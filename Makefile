# Two commands do all the set-up on a fresh Debian machine: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Debian packages are installed only where that needs nobody's leave.
APT := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo apt-get)

# So many processes share the tests, a file at a time; JOBS=0 runs all in one, as a debugger wants it.
# Twice as many as cores, for many tests wait; each takes up to a gigabyte.
JOBS ?= $(shell cores=$$(nproc); echo $$((cores < 2 ? 2 : 4)))
# In their order: those with the most tests first, as pytest-xdist would have it, leaves the slow ones to the end.
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-ahead test-busy check coverage machine format bench soak drill ha-demo install-guide fresh-debian service-drill screenshots icons wheel lock clean

demo: $(VENV)/installed-server
	@command -v restic >/dev/null || $(MAKE) --no-print-directory debian-restic
	@$(BIN)/rmactors demo $(ARGS)

test: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory test-tools
	$(PYTEST) $(ARGS)

# The tests with the calendar clock DAYS ahead, or at a moment: make test-ahead AT='2027-12-31 23:59:30' ARGS=tests/rules.
# tests/ahead/plugin.py says what cannot be moved, and why.
DAYS ?= 40
AHEAD = $$(( $(if $(AT),$$(date -d '$(AT)' +%s) - $$(date +%s),$(DAYS) * 86400) ))
test-ahead: $(VENV)/installed-dev $(VENV)/tools/calendar.so
	@$(MAKE) --no-print-directory test-tools
	AHEAD_SECONDS=$(AHEAD) LD_PRELOAD=$(abspath $(VENV))/tools/calendar.so $(PYTEST) -p tests.ahead.plugin $(ARGS)

# The tests ROUNDS times in a row, beside one busy loop for each core; it stops at the first red round.
ROUNDS ?= 3
test-busy: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory test-tools
	@exec setpriv --pdeathsig TERM bash tests/busy.sh $(ROUNDS) $(PYTEST) $(ARGS)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py tests/test_sizes.py tests/test_words.py
	@$(MAKE) --no-print-directory coverage

# Every branch of the pure modules; a part of `check`.
coverage: $(VENV)/installed-dev
	$(BIN)/python -m tests.coverage_of_pure

# Rules and store against their model, for minutes instead of seconds.
machine: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q tests/machine --hypothesis-profile=many $(ARGS)

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

bench: $(VENV)/installed-dev
	$(BIN)/python -m bench $(ARGS)

# Ten minutes of a fleet of 10,000; needs as many open files (ulimit -n).
soak: $(VENV)/installed-dev
	$(BIN)/python -m bench --full --part fleet $(ARGS)

drill: $(VENV)/installed-dev
	$(BIN)/python -m bench.drill $(ARGS)

# Two nodes on a PostgreSQL with a synchronous standby, all on this machine: the leader is killed, the other takes over.
ha-demo: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory debian-receivers
	@$(BIN)/python -m bench.ha_demo $(ARGS)

install-guide: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory debian-restic debian-curl
	$(BIN)/python -m harness.install_guide

# Both in a Debian that has nothing yet, in a folder: make fresh-debian SUITE=trixie. As root.
SUITE ?= trixie
fresh-debian:
	bench/fresh_debian.sh $(SUITE)

service-drill: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory debian-tools
	$(BIN)/python -m bench.service_drill

screenshots: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory debian-chromium
	$(BIN)/python -m bench.screenshots $(ARGS)

wheel: $(VENV)/installed-dev
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	cd dist && sha256sum *.whl > SHA256SUMS

# What image and hosts install, each package by version and digest, for every Python and machine we support. What is in
# the files stays at its version while pyproject.toml allows it; to take what is new: make lock ARGS=--upgrade
LOCKED := deploy/locks
COMPILE = cd $(LOCKED) && $(abspath $(VENV))/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS)
lock:
	$(PYTHON) -m venv --clear $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'
	$(COMPILE) ../../pyproject.toml --output-file agent.txt
	$(COMPILE) ../../pyproject.toml --extra server --extra postgresql --output-file server.txt
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > $(VENV)/lock/build.in
	echo setuptools >> $(VENV)/lock/build.in # for oncalendar, which comes as source alone
	$(COMPILE) $(abspath $(VENV))/lock/build.in --output-file build.txt
	rm -r $(VENV)/lock

clean:
	rm -rf $(VENV) dist build

# ---- what is installed, and the file that says so

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory debian-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'

$(VENV)/installed-server: pyproject.toml hatch_build.py | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --editable '.[server]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml hatch_build.py | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --group dev --editable '.[server,import,postgresql]'
	@touch $@ $(VENV)/installed-server

$(VENV)/tools/calendar.so: tests/ahead/calendar.c | $(VENV)/bin/pip
	@$(MAKE) --no-print-directory debian-cc
	@mkdir -p $(@D)
	cc -O2 -Wall -Wextra -shared -fPIC -o $@ $< -ldl

# ---- Debian packages

.PHONY: test-tools provisioning debian-venv debian-restic debian-restics debian-receivers debian-oidc debian-chromium debian-curl debian-cc debian-systemd debian-tools apt-lists

# What the tests run beside the product.
test-tools: debian-restic debian-restics debian-chromium debian-systemd debian-tools debian-receivers debian-oidc provisioning

# $(call debian,COMMAND,PACKAGES): installs the packages where there is no such command.
define debian
@command -v $(1) >/dev/null && exit 0; \
if [ -n "$(APT)" ]; then DEBIAN_FRONTEND=noninteractive apt-get install -y -q $(2) >/dev/null; \
else echo "$(1) is not installed. Type: sudo apt-get install $(2)" >&2; fi
endef

debian-restic: apt-lists
	$(call debian,restic,restic)

# restic as Debian 12, 13 and sid ship it, unpacked beside the virtual environment. A day later they are asked for again.
debian-restics: | $(VENV)/bin/pip
	@[ -n "$$(find $(VENV)/tools/restics -maxdepth 0 -mtime -1 2>/dev/null)" ] || bash tests/fetch_restics.sh $(VENV)/tools/restics

# Receivers of notifications as Debian ships them, likewise.
debian-receivers: | $(VENV)/bin/pip
	@[ $(VENV)/tools/receivers -nt tests/fetch_receivers.sh ] || bash tests/fetch_receivers.sh $(VENV)/tools/receivers

# An OpenID provider, from npm; Node is Debian's where there is none.
debian-oidc: | $(VENV)/bin/pip
	@[ $(VENV)/tools/oidc-provider -nt tests/fetch_oidc_provider.sh ] || bash tests/fetch_oidc_provider.sh $(VENV)/tools/oidc-provider

# cloud-init and ansible-core, likewise.
provisioning: | $(VENV)/bin/pip
	@[ $(VENV)/tools/provisioning -nt tests/fetch_provisioning.sh ] || bash tests/fetch_provisioning.sh $(VENV)/tools/provisioning $(BIN)/pip

debian-chromium: apt-lists # libatomic1 is for the node that Playwright brings along; a small Debian 12 lacks it
	$(call debian,chromium,chromium fonts-dejavu-core)
	@ldconfig -p 2>/dev/null | grep -q 'libatomic\.so\.1' || [ -z "$(APT)" ] || \
	{ get() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q libatomic1 >/dev/null 2>&1; }; get || { apt-get update -q >/dev/null; get; }; } || \
	echo "Playwright needs libatomic.so.1. Type: sudo apt-get install libatomic1" >&2

debian-curl: apt-lists
	$(call debian,curl,curl)

debian-cc:
	@command -v cc >/dev/null || [ -z "$(APT)" ] || apt-get update -q >/dev/null
	$(call debian,cc,gcc libc6-dev)

debian-systemd: apt-lists # for systemd-analyze; where systemd does not run, installing it starts nothing
	$(call debian,systemd-analyze,systemd)

debian-venv: apt-lists
	@if [ -n "$(APT)" ]; then DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv >/dev/null; \
	else echo "This Python cannot make virtual environments. Type: sudo apt-get install python3-venv" >&2; exit 1; fi

# nginx, caddy, HAProxy with its libraries, Prometheus and systemd-nspawn as Debian ships them, unpacked beside the
# virtual environment: nothing of the machine changes, and no service starts. promtool is a package of its own since
# Debian 13.
TOOLS := $(VENV)/tools
TOOLS_THERE = for name in sbin/nginx sbin/haproxy bin/caddy bin/prometheus bin/promtool bin/systemd-nspawn; do [ -x $(TOOLS)/usr/$$name ] || exit 1; done
debian-tools: | $(VENV)/bin/pip
	@($(TOOLS_THERE)) && exit 0; mkdir -p $(TOOLS)/debs && cd $(TOOLS)/debs || exit 1; \
	get() { apt-get -q -o APT::Sandbox::User= download nginx nginx-common caddy prometheus systemd-container haproxy \
	$$(apt-cache search --names-only '^promtool$$' | cut -d' ' -f1) \
	$$(apt-cache depends --recurse -i haproxy | grep -E '^lib(jemalloc|lua|opentracing)') >/dev/null 2>&1; }; \
	get || { [ -n "$(APT)" ] && apt-get update -q >/dev/null && get; }; \
	for package in *.deb; do dpkg -x $$package .. 2>/dev/null; done; cd "$(CURDIR)" && rm -rf $(TOOLS)/debs; \
	($(TOOLS_THERE)) || echo "The tests of deploy/ need Debian's nginx, caddy, haproxy, prometheus and promtool, which cannot be fetched here." >&2

# Once for each call of make, and only where something is missing.
apt-lists:
	@if [ -n "$(APT)" ] && ! { command -v restic && command -v chromium && command -v systemd-analyze && command -v curl && \
	$(PYTHON) -c 'import ensurepip, venv'; } >/dev/null 2>&1; then apt-get update -q >/dev/null; fi
