"""Make evidence packs, and sign packs and receipts."""
