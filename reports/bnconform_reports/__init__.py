"""What was found: records in, pages out."""
