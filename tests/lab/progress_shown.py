"""A plugin of pytest (`-p`): what the lab says of its progress reaches the terminal, although pytest keeps output back.

pytest loads it before it begins to capture, so standard error is still the terminal.
"""

import os
import sys

from tests.lab import progress

progress.ALSO.append(os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8"))
