"""The command line: one module a command group, argument parsing only; imported when its command is called."""
