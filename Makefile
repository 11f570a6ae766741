# Everything a person types. Needs make and Python 3.11 or newer; each target installs what it needs.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
# The site has an environment of its own: neither the bridge nor its tests need any of it.
DOCS := $(VENV)/docs/.made
# Settings for the checks that load the project: they speak to no database and no account.
CHECK_ENV = ENV_FILE=/dev/null DEBUG=false SECRET_KEY=$(shell head -c 60 /dev/urandom | base64 -w 0 | tr '+/' '-_') \
	FIELD_ENCRYPTION_KEYS=$(shell head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_') DATABASE_URL=sqlite://:memory: ALLOWED_HOSTS=bridge.example

.DEFAULT_GOAL := help
.PHONY: help install demo run test pictures check bench format lock audit clients nodes docs release first package clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: $(RUNTIME) ## make .venv with what the bridge runs with

demo: $(RUNTIME) .env ## play conversations against a local Kommo; ARGS=--once checks the cards and ends
	@$(PY) manage.py demo $(ARGS)

run: $(RUNTIME) .env ## web and worker against the account that .env names
	@$(PY) manage.py run $(ARGS)

test: $(DEV) ## the whole suite on SQLite, and on TEST_DATABASE_URL and TEST_REDIS_URL where they are set
	@$(PY) scripts/run_tests.py $(ARGS)

pictures: $(DEV) ## take the pictures of the documents and the film of the README anew; needs Chromium, some minutes
	@$(PY) scripts/make_pictures.py $(ARGS)

check: $(DEV) ## format, lint, types, migrations, deploy checks, architecture, licences, advisories, then the suite
	@$(MAKE) --no-print-directory -j2 -k $(CHECKS)
	@$(PY) scripts/run_tests.py --and-hostile

# Two at once, and all of them whatever one finds; what each says is shown in one piece.
CHECKS := check-types check-safe-changes check-architecture check-schema check-lint check-format check-names check-migrations \
	check-deploy check-translations check-locks check-licences check-advisories check-newest
.PHONY: $(CHECKS)
define shown
	@said=$$($(2) 2>&1); code=$$?; printf '== %s\n%s\n' "$(1)" "$$said"; exit $$code
endef

check-format: ; $(call shown,format,$(VENV)/bin/ruff format --check .)
check-lint: ; $(call shown,lint,$(VENV)/bin/ruff check .)
check-names: ; $(call shown,names,$(PY) scripts/check_names.py)
check-types: ; $(call shown,types,$(VENV)/bin/mypy)
check-architecture: ; $(call shown,architecture,PYTHONPATH=packages/kommo-sandbox/src $(VENV)/bin/lint-imports --no-cache)
check-migrations: ; $(call shown,migrations,$(CHECK_ENV) $(PY) manage.py makemigrations --check --dry-run)
check-safe-changes: ; $(call shown,safe changes,$(CHECK_ENV) $(PY) scripts/check_migrations.py)
check-deploy: ; $(call shown,deploy,{ $(CHECK_ENV) $(PY) manage.py collectstatic --noinput --verbosity 0 \
	&& $(CHECK_ENV) $(PY) manage.py check --deploy --fail-level WARNING; })
check-schema: ; $(call shown,API schema,$(CHECK_ENV) $(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null)
check-translations: ; $(call shown,translations,$(PY) scripts/check_translations.py)
check-locks: ; $(call shown,locks,$(PY) scripts/check_locks.py)
check-licences: ; $(call shown,licences,$(PY) scripts/check_licences.py)
check-newest: ; $(call shown,newest Python and Django,$(PY) scripts/check_newest.py)
check-advisories: ; $(call shown,advisories,$(PY) scripts/check_advisories.py)

bench: $(DEV) ## the benchmarks, one table of ratios
	@$(PY) -m benchmarks $(ARGS)

format: $(DEV) ## format and mend what can be mended
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

lock: $(DEV) ## write the locks anew, for pins that were changed; asks the network
	@for name in requirements requirements-extra requirements-dev requirements-docs; do \
		$(VENV)/bin/uv pip compile $$name.txt --no-strip-extras --generate-hashes --universal --python-version 3.11 --no-annotate \
			--custom-compile-command "make lock" --quiet --output-file $$name.lock; done

audit: $(DEV) ## known vulnerabilities of what is installed; asks the network
	@$(PY) scripts/check_advisories.py

clients: $(DEV) ## clients by two public generators, calling every operation of a running bridge; asks the network
	@$(PY) scripts/check_clients.py

nodes: $(DEV) ## lint, build and test the n8n nodes, then a real n8n with them and a running bridge; asks the network
	@$(PY) scripts/check_n8n.py

docs: $(RUNTIME) $(DOCS) ## the documents as a site in build/docs, every link checked
	@$(CHECK_ENV) $(PY) -m scripts.docs_site

release: $(DEV) ## wheels, sdists, npm packages and image files in dist/, proved in empty environments; asks the network
	@$(PY) scripts/release.py $(ARGS)

first: $(DEV) ## from nothing to a first card with what make release made, by curl, both clients and MCP, timed; asks the network
	@$(PY) scripts/first_cards.py

package: $(DEV) ## one of the packages for Node ready to publish, in dist/; ARGS=typescript-client-v0.1.0; asks the network
	@$(PY) scripts/release_package.py $(ARGS)

clean: ## remove what make made, but not your data
	rm -rf $(VENV) dist build staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage

.env: | $(RUNTIME)
	@$(PY) scripts/make_env.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "The bridge needs Python 3.11 or newer. Install it, or name it: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV) && $(PY) -m pip --version >/dev/null || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make $(VENV). On Debian and Ubuntu: apt-get install python3-venv, then again." >&2; exit 1; }

# By hash: a file that is not the one we tried is not installed, whoever serves it.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes

$(RUNTIME): $(VENV)/bin/python requirements.lock
	@echo "Installing what the bridge runs with …"
	@$(PY) $(PIP_INSTALL) -r requirements.lock
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo "Installing what tests and checks need …"
	@$(PY) $(PIP_INSTALL) -r requirements-dev.lock
	@touch $@

$(DOCS): $(VENV)/bin/python requirements-docs.lock
	@echo "Installing what makes the site …"
	@$(PY) -m venv $(VENV)/docs
	@$(VENV)/docs/bin/python $(PIP_INSTALL) -r requirements-docs.lock
	@touch $@
