"""Attribution methods, one file each, and what they need to know about the network."""
