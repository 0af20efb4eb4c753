"""Charts for the page, and figures as PNG and SVG files."""
