"""Records of runs: their form, how they are read, checked and merged, and the words for what they hold."""
