from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np

from tests.exposure.objectives.distributed import run
from tests.exposure.objectives.test_interface import OPTIONS


def test_two_processes_learn_what_one_does(tmp_path):
    options = {**OPTIONS, "self-contrastive": {"premature": "initial"}}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "-m", "tests.exposure.objectives.distributed"]
    done = subprocess.run(
        [*command, str(tmp_path), json.dumps(options)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone = run(options)
    main, other = (dict(np.load(tmp_path / f"result-{rank}.npz")) for rank in (0, 1))
    for name, value in alone.items():
        np.testing.assert_array_equal(main[name], other[name])
        np.testing.assert_allclose(main[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
