"""What only this package's commands share; parsing, errors and messages are those of `data_tools.command`."""
