"""Shadow: copies of predictions and their answers, sent to a process that lets another version answer them too."""
