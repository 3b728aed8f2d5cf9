"""Attribution methods, one file each, and what several of them need."""
