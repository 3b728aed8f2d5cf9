"""What every part needs of the machine: processes, folders, files, processors, the log."""
