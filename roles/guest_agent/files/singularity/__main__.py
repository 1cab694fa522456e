"""Where the program starts, as a package and as one file."""

import sys

from singularity.cli import main

sys.exit(main())
