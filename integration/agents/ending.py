"""The end of a script whose libraries leave threads behind."""

import os
import sys
import traceback


def run(main):
    """Runs main and ends the process: 0 if it returned, 1 with the reason on standard error.

    Threads of the agents have nothing more to say, but would say it, so nobody waits for them.
    """
    code = 0
    try:
        main()
    except SystemExit as end:
        print(end.code, file=sys.stderr)
        code = 1
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
