"""python -m minidiff COMMAND"""

from minidiff.cli.main import main

raise SystemExit(main())
