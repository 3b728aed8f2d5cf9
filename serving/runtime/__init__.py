"""Parts that all others build on: processes, folders, files, CPU budget and the log."""
