"""How fast Ticker is, beside what else one could use: `python -m benchmarks --help`."""

import os
from pathlib import Path

# Python's ssl cannot set the cipher suites of TLS 1.3; OpenSSL reads them here when it is first imported.
os.environ["OPENSSL_CONF"] = str(Path(__file__).parent / "openssl.cnf")
