"""`python -m competition_utils SUBCOMMAND …`"""

import sys

from competition_utils.runs.cli import main

if __name__ == "__main__":
    sys.exit(main())
