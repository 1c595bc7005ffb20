"""Programs that made files in this repository; they are not installed."""
