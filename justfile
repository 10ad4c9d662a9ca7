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

# Speed, printed beside its floor; nothing here fails a build.
bench:
    uv run python -m benchmarks
