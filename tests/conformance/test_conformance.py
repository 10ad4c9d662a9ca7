"""The protocol's own conformance suite, against our servers' base and against our host, in both eras."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.need import node

HERE = Path(__file__).parent
SUITE = ("@modelcontextprotocol", "conformance", "dist", "index.js")
ERAS = ["2025-11-25", "2026-07-28"]
PENDING = {"2025-11-25": {"server-sse-polling"}, "2026-07-28": set()}
"""Not required: to take up a broken stream again, which the present protocol has dropped."""
OTHER_GRANTS = {
    f"auth/{name}"
    for name in (
        "client-credentials-basic",
        "client-credentials-jwt",
        "dpop",
        "dpop-nonce",
        "enterprise-managed-authorization",
        "wif-jwt-bearer",
    )
}
"""Extensions, run and not scored: we log a person in, and no machine."""


def failing(*arguments: str) -> set[str]:
    """Names of scenarios that did not pass; the suite's own verdict has to be that all required ones did."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    command = [*node(*SUITE), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=540)
    told = re.sub(r"\x1b\[\d+m", "", done.stdout)
    assert done.returncode == 0, told[-8000:]
    assert "SUMMARY" in told
    return set(re.findall(r"^✗ ([\w/-]+):", told, re.MULTILINE))


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, str(HERE / "fixture.py")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=HERE.parent.parent
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("era", ERAS)
def test_our_servers_pass_all_that_is_required_and_all_of_tasks(era, url):
    node(*SUITE)
    assert failing("server", "--url", url, "--requirements", era) == PENDING[era]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("era", ERAS)
def test_our_host_passes_all_that_is_required(era):
    command = f"{sys.executable} {HERE / 'client.py'}"
    found = failing("client", "--command", command, "--requirements", era, "--timeout", "120000")
    assert found == OTHER_GRANTS
