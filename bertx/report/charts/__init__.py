"""Charts as SVG; their colours come from the style of the page."""
