# One word for everything a change must pass.
check: format-check lint types floors test

format:
    uv run ruff format
    uv run ruff check --fix

format-check:
    uv run ruff format --check

lint:
    uv run ruff check

types:
    uv run ty check

floors:
    uv run lint-imports

test *args:
    uv run pytest {{args}}

# docs/cli.md is what the commands' own help says; a test notices when it is old.
docs:
    uv run python -m docs.cli

# Pictures of the terminal UI, into docs/screens.
screens:
    uv run python -m docs.screens

# What each sandbox withstands here, into docs/security/sandbox-attacks.md; `just attacks --check` compares.
attacks *args:
    uv run python -m docs.attacks {{args}}

# The versions that were tested, names and numbers only.
constraints:
    uv pip freeze --exclude-editable | grep '==' > constraints.txt

# Other projects' own loaders read what we export, each in an environment of its own (a minute to make, 4 GB).
loaders folder="/tmp/journeyman-loaders":
    .ci/loaders {{folder}}
    LOADERS={{folder}} uv run pytest tests/traces/test_loaders.py

# Speed, printed beside its floor; nothing here fails a build.
bench:
    uv run python -m benchmarks
