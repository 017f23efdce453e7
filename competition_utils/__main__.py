"""`python -m competition_utils SUBCOMMAND …`"""

import sys

from competition_utils.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
