"""Reports on what was found: records of runs in, pages out."""
