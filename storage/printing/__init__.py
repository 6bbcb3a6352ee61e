"""Print documents as PDF/A: templates, their data, and the confined process that typesets them."""
