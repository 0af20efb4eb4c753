"""Parts of the pages: each module prepares the data of one part."""
