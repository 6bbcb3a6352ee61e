"""Define ratings (满意度测评), and the rating drafts that phones send."""
