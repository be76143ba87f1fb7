"""The rules of the house that a test can keep."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_imports_run_downwards_only():
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout


def test_import_byrote_loads_nothing_heavy():
    script = (
        "import sys, byrote, byrote.cli, byrote.models, byrote.texts\n"
        "import byrote.recall, byrote.report, byrote.audit, byrote.runs\n"
        "import byrote.decoding, byrote.exposure, byrote.localization, byrote.studies\n"
        "heavy = {'torch', 'transformers', 'polars', 'altair', 'scipy', 'sklearn', 'pyarrow'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_export_exists():
    script = (
        "import importlib, pkgutil, byrote\n"
        "for info in pkgutil.iter_modules(byrote.__path__, 'byrote.'):\n"
        "    module = importlib.import_module(info.name) if info.ispkg else None\n"
        "    for name in getattr(module, '__all__', ()):\n"
        "        getattr(module, name)\n"
        "        print(info.name, name)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "byrote.runs Run" in result.stdout
