"""Attribution methods, one file each, and the facts about the network that they need."""
