"""`python -m telos` is the command line."""

import sys

from telos.cli import main

sys.exit(main())
