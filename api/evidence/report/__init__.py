"""Write the report of an evidence pack, as HTML and PDF."""
